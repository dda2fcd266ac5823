// Goal: every input of a net is worth its cost. Method: feature rows made by hand, in which one feature identifies
// frauds, one carries no information, and amounts are large for their category.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import { inputCountOf, type FeatureScaling } from '../../../../services/core/scoring/scaling.ts'
import {
  fitScaling,
  mostCommon,
  fitCodeRamps,
  fitCodes,
  fitRamps,
  fitSteps,
  type FeatureSteps,
} from '../../../../services/trainer/fit/fit-inputs.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'

const ROWS = 6_000

interface Made {
  readonly rows: Float64Array
  readonly indices: Uint32Array
  readonly truth: Uint8Array
}

/** Rows whose features are absent except for the given ones. */
function rowsWith(valuesOf: (row: number) => Readonly<Record<string, number>>): Made {
  const next = randomOf(7)
  const rows = new Float64Array(ROWS * FEATURE_COUNT).fill(NaN)
  const truth = Uint8Array.from({ length: ROWS }, () => (next() < 0.05 ? 1 : 0))
  for (let row = 0; row < ROWS; row += 1) {
    for (const [name, value] of Object.entries(valuesOf(row))) {
      rows[row * FEATURE_COUNT + FEATURE_NAMES.indexOf(name)] = value
    }
  }
  return { rows, truth, indices: Uint32Array.from({ length: ROWS }, (_, row) => row) }
}

function scalingOf({ rows, indices, truth }: Made, feature: string): FeatureScaling {
  const found = fitScaling(rows, indices, truth).find((each) => each.feature === feature)
  ok(found !== undefined)
  return found
}

test('a feature that identifies frauds has steps and ramps, one without information is one number', () => {
  const next = randomOf(1)
  const made = rowsWith(() => ({
    card_count_7d: Math.floor(next() * 40),
    card_sum_7d: next() * 100,
  }))
  const at = FEATURE_NAMES.indexOf('card_count_7d')
  for (const row of made.indices) {
    if (made.truth[row] === 1) made.rows[row * FEATURE_COUNT + at] = 30 + Math.floor(next() * 15)
  }
  const told = scalingOf(made, 'card_count_7d')
  ok(told.steps.length > 0 && told.ramps.length > 2, JSON.stringify(told))
  const untold = scalingOf(made, 'card_sum_7d')
  deepStrictEqual([untold.steps, untold.ramps, inputCountOf([untold])], [[], [], 1])
})

test('the weaker a feature, the more rows it takes until it has ramps', () => {
  const next = randomOf(3)
  const made = rowsWith(() => ({ card_count_7d: Math.floor(next() * 40) }))
  const at = FEATURE_NAMES.indexOf('card_count_7d')
  for (const row of made.indices) {
    const isLifted = made.truth[row] === 1 && next() < 0.9
    if (isLifted) made.rows[row * FEATURE_COUNT + at] = 20 + Math.floor(next() * 20)
  }
  const few = { ...made, indices: made.indices.slice(0, 1_000) }
  strictEqual(scalingOf(few, 'card_count_7d').ramps.length, 0)
  ok(scalingOf(made, 'card_count_7d').ramps.length > 2)
})

test('a code keeps its inputs whatever its own information, and the amount depends on it', () => {
  const next = randomOf(2)
  const made = rowsWith((row) => {
    const isGrocer = row % 2 === 0
    return { merchant_category: isGrocer ? 5_411 : 5_944, amount: next() * (isGrocer ? 50 : 5_000) }
  })
  deepStrictEqual(scalingOf(made, 'merchant_category').ramps, [5_411, 5_944])
  const { byCode } = scalingOf(made, 'amount')
  ok(byCode !== null)
  deepStrictEqual([byCode.feature, byCode.codes], ['merchant_category', [5_411, 5_944]])
  const [grocers = [], jewellers = [], all = []] = byCode.edges
  ok((grocers.at(-1) ?? 0) <= 50 && (jewellers.at(-1) ?? 0) > 4_900, JSON.stringify(byCode))
  ok((all.at(-1) ?? 0) > 4_900)
})

test('without codes an amount depends on none', () => {
  const next = randomOf(2)
  const made = rowsWith(() => ({ amount: next() * 50 }))
  strictEqual(scalingOf(made, 'amount').byCode, null)
})

interface Row {
  readonly value: number
  readonly isFraud: boolean
}

/** Information that a set of rows still lacks, in nats. */
function lacking(rows: readonly Row[]): number {
  const frauds = rows.filter(({ isFraud }) => isFraud).length
  return [frauds, rows.length - frauds]
    .filter((count) => count > 0)
    .reduce((sum, count) => sum + count * Math.log(rows.length / count), 0)
}

/** Tries every split of every part again for each step: up to 7, at least 10 rows on each side, at least 6 nats. */
function naiveSteps(all: readonly Row[]): readonly number[] {
  let parts = [all]
  const steps: number[] = []
  while (steps.length < 7) {
    let best = { gain: 6, step: NaN, part: all }
    for (const part of parts) {
      for (const { value } of part) {
        const below = part.filter((row) => row.value < value)
        const above = part.filter((row) => row.value >= value)
        if (below.length < 10 || above.length < 10) continue
        const gain = lacking(part) - lacking(below) - lacking(above)
        const step = (Math.max(...below.map((row) => row.value)) + value) / 2
        if (gain > best.gain + 1e-9) best = { gain, step, part }
      }
    }
    const { part, step } = best
    if (Number.isNaN(step)) break
    steps.push(step)
    parts = parts.flatMap((each) =>
      each === part
        ? [part.filter(({ value }) => value < step), part.filter(({ value }) => value >= step)]
        : [each],
    )
  }
  return steps.toSorted((a, b) => a - b)
}

/** Information about the rows when it is known between which steps each one lies. */
function gainOf(rows: readonly Row[], steps: readonly number[]): number {
  const edges = [-Infinity, ...steps, Infinity]
  const parts = steps.concat(Infinity).map((above, at) => {
    const from = edges[at] ?? -Infinity
    return rows.filter(({ value }) => value >= from && value < above)
  })
  return lacking(rows) - parts.reduce((sum, part) => sum + lacking(part), 0)
}

function rowsOf(seed: number, shareOf: (value: number) => number): readonly Row[] {
  const next = randomOf(seed)
  return Array.from({ length: 400 }, () => {
    // Many equal values, between which no step may be.
    const value = Math.floor(next() * 120) / 4
    return { value, isFraud: next() < shareOf(value) }
  }).toSorted((a, b) => a.value - b.value)
}

function treeOf(rows: readonly Row[]): FeatureSteps {
  const before = [0]
  for (const { isFraud } of rows) before.push((before.at(-1) ?? 0) + (isFraud ? 1 : 0))
  return fitSteps(
    Float64Array.from(rows, ({ value }) => value),
    Uint32Array.from(before),
  )
}

function stepsOf(rows: readonly Row[]): readonly number[] {
  return treeOf(rows).steps
}

test('steps match an exhaustive search over all splits', () => {
  const shares: readonly ((value: number) => number)[] = [
    (value) => (value < 10 ? 0.02 : value < 22 ? 0.5 : 0.1),
    (value) => (value > 28 ? 0.9 : 0.03),
    (value) => (Math.floor(value / 5) % 2 === 0 ? 0.05 : 0.7),
  ]
  const counts = new Set<number>()
  for (let seed = 1; seed <= 8; seed += 1) {
    for (const shareOf of shares) {
      const rows = rowsOf(seed, shareOf)
      const { steps, gain } = treeOf(rows)
      assert.deepEqual(steps, naiveSteps(rows))
      assert.ok(Math.abs(gain - gainOf(rows, steps)) < 1e-6)
      counts.add(steps.length)
    }
  }
  assert.ok(counts.size > 2, [...counts].join())
})

test('without information there are no steps: chance, few rows, one value', () => {
  assert.deepEqual(stepsOf(rowsOf(5, () => 0)), [])
  const sure = Array.from({ length: 19 }, (_, at) => ({ value: at, isFraud: at > 9 }))
  assert.deepEqual(stepsOf(sure), [])
  const equal = Array.from({ length: 90 }, (_, at) => ({ value: 1, isFraud: at > 40 }))
  assert.deepEqual(stepsOf(equal), [])
  assert.deepEqual(stepsOf([]), [])
})

test('ramps ascend, lie on values, and begin and end with the extremes', () => {
  const values = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 300 })
  fc.assert(
    fc.property(values, (found) => {
      const ascending = Float64Array.from(found).sort()
      const ramps = fitRamps(ascending)
      if (new Set(found).size < 3) assert.deepEqual(ramps, [])
      if (ramps.length === 0) return
      assert.equal(ramps[0], ascending[0])
      assert.ok(ramps.length >= 3)
      for (const [at, edge] of ramps.entries()) {
        assert.ok(ascending.includes(edge))
        assert.ok(at === 0 || edge > (ramps[at - 1] ?? Infinity))
      }
    }),
  )
  assert.deepEqual(fitRamps(new Float64Array()), [])
})

test('each common code has an edge of its own, at most 32, and rare codes have none', () => {
  const often = (code: number, times: number): readonly number[] => Array<number>(times).fill(code)
  const codes = Float64Array.of(...often(742, 10), ...often(4111, 9), ...often(5411, 30))
  assert.deepEqual(fitCodes(codes), [742, 5411])
  assert.deepEqual(mostCommon(codes), [5411, 742])
  assert.deepEqual(fitCodes(Float64Array.of(...often(742, 99))), [])
  assert.deepEqual(fitCodes(new Float64Array()), [])
  const many = Array.from({ length: 40 }, (_, code) => often(code, code < 8 ? 10 : 11)).flat()
  assert.deepEqual(
    fitCodes(Float64Array.from(many)),
    Array.from({ length: 32 }, (_, index) => index + 8),
  )
})

test('values of each common code have edges at the same shares; rare codes share the edges of all others', () => {
  const values: number[] = []
  const codes: number[] = []
  for (let at = 0; at < 400; at += 1) {
    codes.push(7, 3)
    values.push(at, 10 * at)
  }
  // Too few for edges of their own.
  for (let at = 0; at < 199; at += 1) {
    codes.push(5)
    values.push(1e6)
  }
  const ramps = fitCodeRamps(Float64Array.from(codes), Float64Array.from(values))
  assert.deepEqual(ramps?.codes, [3, 7])
  const [ofThree = [], ofSeven = [], ofOthers = []] = ramps.edges
  assert.deepEqual(
    ofThree,
    ofSeven.map((edge) => 10 * edge),
  )
  assert.equal(ofSeven.length, ofOthers.length)
  assert.deepEqual([ofSeven[0], ofSeven[4], ofSeven.at(-1)], [0, 199, 398])
  assert.equal(ofOthers.at(-1), 1e6)
})

test('a single code, few values or none need no edges by code', () => {
  const alone = Float64Array.from({ length: 500 }, () => 7)
  assert.equal(fitCodeRamps(alone, alone), null)
  assert.equal(fitCodeRamps(new Float64Array(), new Float64Array()), null)
  const few = Float64Array.from({ length: 300 }, (_, at) => at % 2)
  assert.equal(fitCodeRamps(few, few), null)
})
