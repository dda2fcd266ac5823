import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  compileScaling,
  inputCountOf,
  scaleRows,
  type FeatureScaling,
  scoreOf,
} from '../../../../services/core/scoring/scaling.ts'

const PLAIN: FeatureScaling = {
  feature: 'amount',
  transform: 'none',
  center: 10,
  scale: 2,
  clip: 3,
  absentValue: null,
  absentInput: false,
  steps: [],
  ramps: [],
  byCode: null,
}

function scaleOne(scaling: readonly FeatureScaling[], row: readonly number[]): readonly number[] {
  const out = new Float32Array(inputCountOf(scaling))
  scaleRows(Float64Array.from(row), 1, compileScaling(scaling), out)
  return [...out]
}

test('a value is transformed, centred, scaled and clipped, in this order', () => {
  assert.deepEqual(scaleOne([PLAIN], [14]), [2])
  assert.deepEqual(scaleOne([PLAIN], [1_000]), [3])
  assert.deepEqual(scaleOne([PLAIN], [-1_000]), [-3])
  const log: FeatureScaling = { ...PLAIN, transform: 'log1p', center: 0, scale: 1 }
  assert.deepEqual(scaleOne([log], [Math.E - 1]), [1])
  assert.deepEqual(scaleOne([log], [1 - Math.E]), [-1])
})

test('an absent value is replaced, and reported to the model where it has an input for absence', () => {
  const quiet: FeatureScaling = { ...PLAIN, absentValue: 12 }
  const told: FeatureScaling = { ...quiet, absentInput: true }
  assert.deepEqual(scaleOne([quiet, PLAIN], [NaN, 10]), [1, 0])
  assert.deepEqual(scaleOne([told, PLAIN], [NaN, 10]), [1, 1, 0])
  assert.deepEqual(scaleOne([told, PLAIN], [12, 10]), [1, 0, 0])
})

test('steps and ramps follow the raw value, or the replacement of an absent one', () => {
  const encoded: FeatureScaling = {
    ...PLAIN,
    absentValue: 12,
    absentInput: true,
    steps: [10, 14],
    ramps: [8, 12, 20],
  }
  assert.deepEqual(scaleOne([encoded, PLAIN], [10, 10]), [0, 0, 1, 0, 0.5, 0, 0])
  assert.deepEqual(scaleOne([encoded, PLAIN], [14, 10]), [2, 0, 1, 1, 1, 0.25, 0])
  assert.deepEqual(scaleOne([encoded, PLAIN], [NaN, 10]), [1, 1, 1, 0, 1, 0, 0])
  assert.deepEqual(scaleOne([encoded, PLAIN], [-99, 10]), [-3, 0, 0, 0, 0, 0, 0])
})

test('ramps by a code use the edges of that code; without it, or with another code, those of all others', () => {
  const byCode = {
    ...{ feature: 'kind', codes: [5_411, 5_944] },
    edges: [
      [0, 10, 20],
      [0, 100, 100],
      [0, 40, 80],
    ],
  }
  const amount: FeatureScaling = { ...PLAIN, byCode }
  const kind: FeatureScaling = { ...PLAIN, feature: 'kind', absentValue: 5_411 }
  const inputs = (value: number, code: number): readonly number[] =>
    scaleOne([amount, kind], [value, code]).slice(1, 3)
  assert.deepEqual(inputs(15, 5_411), [1, 0.5])
  assert.deepEqual(inputs(50, 5_944), [0.5, 0])
  assert.deepEqual(inputs(100, 5_944), [1, 1])
  assert.deepEqual(inputs(50, 742), [1, 0.25])
  // The replacement of an absent code does not choose the edges.
  assert.deepEqual(inputs(50, NaN), [1, 0.25])
})

test('a row with a value that the model does not accept is NaN throughout', () => {
  const told: FeatureScaling = { ...PLAIN, absentValue: 12, absentInput: true }
  for (const bad of [NaN, Infinity, -Infinity]) {
    assert.deepEqual(scaleOne([told, PLAIN], [10, bad]), [NaN, NaN, NaN])
  }
  assert.deepEqual(scaleOne([told, PLAIN], [Infinity, 10]), [NaN, NaN, NaN])
})

test('earlier content of the inputs is overwritten', () => {
  const encoded: FeatureScaling = {
    ...PLAIN,
    ...{ absentValue: 12, absentInput: true, steps: [10, 14], ramps: [8, 12, 20] },
  }
  const compiled = compileScaling([encoded])
  const out = new Float32Array(compiled.inputCount).fill(7)
  assert.ok(compiled.writeRow(Float64Array.of(9), 0, out, 0))
  assert.deepEqual([...out], [-0.5, 0, 0, 0, 0.25, 0])
})

const anyEdges = fc
  .uniqueArray(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 4 })
  .map((edges) => edges.toSorted((a, b) => a - b))

const anyByCode = fc.integer({ min: 2, max: 4 }).chain((length) => {
  const list = fc
    .array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      ...{ minLength: length, maxLength: length },
    })
    .map((edges) => edges.toSorted((a, b) => a - b))
  return fc.record({
    feature: fc.constant('f'),
    codes: fc.constant([0, 7]),
    edges: fc.tuple(list, list, list),
  })
})

const anyScaling: fc.Arbitrary<FeatureScaling> = fc.record({
  feature: fc.constant('f'),
  transform: fc.constantFrom('none', 'log1p'),
  center: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  scale: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  clip: fc.double({ min: 0.5, max: 100, noNaN: true }),
  absentValue: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  absentInput: fc.boolean(),
  steps: anyEdges,
  ramps: anyEdges.map((edges) => (edges.length < 2 ? [] : edges)),
  byCode: fc.option(anyByCode),
})

test('inputs are within the clip, or the row is not scored; each row is independent of the others', () => {
  const scalings = fc.array(anyScaling, { minLength: 1, maxLength: 5 })
  const rows = fc.array(fc.array(fc.double(), { minLength: 5, maxLength: 5 }), { maxLength: 6 })
  fc.assert(
    fc.property(scalings, rows, (scaling, table) => {
      const inputCount = inputCountOf(scaling)
      const values = table.map((row) => row.slice(0, scaling.length))
      const out = new Float32Array(values.length * inputCount)
      scaleRows(Float64Array.from(values.flat()), values.length, compileScaling(scaling), out)
      for (const [index, row] of values.entries()) {
        const inputs = [...out.subarray(index * inputCount, (index + 1) * inputCount)]
        assert.deepEqual(inputs, scaleOne(scaling, row))
        const clipMax = Math.fround(Math.max(1, ...scaling.map(({ clip }) => clip)))
        const isScored = inputs.every((input) => Math.abs(input) <= clipMax)
        assert.ok(isScored || inputs.every(Number.isNaN), inputs.join())
      }
    }),
  )
})

test('a score is between 0 and 1 and never falls when the logit rises', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
  const slopes = fc.double({ min: 0.001, max: 100, noNaN: true })
  const intercepts = fc.double({ min: -20, max: 20, noNaN: true })
  fc.assert(
    fc.property(finite, finite, slopes, intercepts, (one, other, slope, intercept) => {
      const calibration = { kind: 'platt', slope, intercept } as const
      const low = scoreOf(Math.min(one, other), calibration)
      const high = scoreOf(Math.max(one, other), calibration)
      assert.ok(low >= 0 && low <= high && high <= 1, `${low} to ${high}`)
    }),
  )
})

test('without calibration the score is the logistic function of the logit', () => {
  const identity = { kind: 'identity', slope: 1, intercept: 0 } as const
  assert.equal(scoreOf(0, identity), 0.5)
  assert.ok(Math.abs(scoreOf(Math.log(3), identity) - 0.75) < 1e-15)
})

test('a logit that is not finite gives no score', () => {
  for (const logit of [NaN, Infinity, -Infinity]) {
    assert.ok(Number.isNaN(scoreOf(logit, { kind: 'platt', slope: 1, intercept: 0 })))
  }
})
