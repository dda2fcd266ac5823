import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trainingCurves, type LearningCurve } from '../../../services/trainer/training-record.ts'

const DRAFT: LearningCurve = {
  name: 'draft',
  bestEpoch: 2,
  epochs: [
    { epoch: 1, loss: 0.8, validationPrecision: 0.25 },
    { epoch: 2, loss: 0.4, validationPrecision: 0.5 },
    { epoch: 3, loss: 0.2, validationPrecision: 0.45 },
  ],
}
const TARGET: LearningCurve = {
  name: 'target',
  bestEpoch: 1,
  epochs: [{ epoch: 1, loss: 0.6, validationPrecision: null }],
}

/** Points of each line, in drawing order. */
function linesOf(svg: string): readonly (readonly (readonly [number, number])[])[] {
  return Array.from(svg.matchAll(/<path d="([^"]*)"/g), ([, path = '']) =>
    Array.from(path.matchAll(/([\d.]+),([\d.]+)/g), ([, x, y]) => [Number(x), Number(y)] as const),
  )
}

test('each net is a line in both plots, at equal distances by epoch and to the scale of the axis', () => {
  const [lossDraft = [], lossTarget = [], precisionDraft = [], precisionTarget] = linesOf(
    trainingCurves([DRAFT, TARGET]),
  )
  // The axis runs from 0 at 244 up to 0.8 at 44.
  assert.deepEqual(lossDraft, [
    [60, 44],
    [205, 144],
    [350, 194],
  ])
  assert.deepEqual(lossTarget, [[60, 94]])
  assert.deepEqual(
    precisionDraft.map(([x]) => x),
    [440, 585, 730],
  )
  assert.deepEqual(
    precisionDraft.map(([, y]) => y),
    [144, 44, 64],
  )
  assert.deepEqual(precisionTarget, [])
})

test('the chosen epoch is marked where it has a value, and named', () => {
  const svg = trainingCurves([DRAFT, TARGET])
  const dots = Array.from(svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g), ([, x, y]) =>
    [x, y].map(Number),
  )
  assert.deepEqual(dots, [
    [205, 144],
    [60, 94],
    [585, 44],
  ])
  assert.match(svg, /draft, epoch 2 kept/)
  assert.match(svg, /target, epoch 1 kept/)
})

test('the same epochs give the same bytes; no epochs and values that are not finite draw no line', () => {
  assert.equal(trainingCurves([DRAFT, TARGET]), trainingCurves([DRAFT, TARGET]))
  const broken = { ...DRAFT, epochs: [{ epoch: 1, loss: NaN, validationPrecision: Infinity }] }
  for (const curve of [broken, { ...DRAFT, epochs: [] }]) {
    const svg = trainingCurves([curve])
    assert.doesNotMatch(svg, /NaN|Infinity/)
    assert.deepEqual(linesOf(svg), [[], []])
  }
})
