import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  rankedAttributions,
  REASONS_MAX,
  reasonsOf,
  unusualFeatures,
  writeOcclusions,
} from '../../../../services/core/decision/reasons.ts'
import {
  FEATURES,
  FEATURE_COUNT,
} from '../../../../services/core/features/catalogue/feature-list.ts'

const row = Float64Array.from({ length: FEATURE_COUNT }, (_, feature) => feature + 0.5)
const baseline = Array.from({ length: FEATURE_COUNT }, (_, feature) => -feature - 1)

test('each copy of a row has one of the features at its baseline value', () => {
  const features = [5, 0, FEATURE_COUNT - 1]
  const target = new Float64Array(3 + features.length * FEATURE_COUNT)
  writeOcclusions(row, baseline, features, target, 3)
  for (const [copy, changed] of features.entries()) {
    for (let feature = 0; feature < FEATURE_COUNT; feature += 1) {
      const expected = feature === changed ? baseline[feature] : row[feature]
      assert.equal(target[3 + copy * FEATURE_COUNT + feature], expected)
    }
  }
  assert.deepEqual([...target.subarray(0, 3)], [0, 0, 0])
})

test('a feature at its baseline value, or absent as usual, is not asked about', () => {
  const own = row.slice()
  const mixed = [...baseline]
  own[7] = NaN // absent, which is not the baseline
  mixed[8] = NaN // present, which is not the baseline
  own[9] = NaN
  mixed[9] = NaN
  own[10] = mixed[10] ?? NaN
  const all = Array.from({ length: FEATURE_COUNT }, (_, feature) => feature)
  assert.deepEqual(
    unusualFeatures(own, mixed),
    all.filter((feature) => feature !== 9 && feature !== 10),
  )
})

test('the reasons are the features whose baseline value lowers the score most, strongest first', () => {
  const scores = new Float64Array(1 + FEATURE_COUNT).fill(0.8)
  scores[1 + 2] = 0.5
  scores[1 + 4] = 0.1
  scores[1 + 0] = 0.7
  scores[1 + 5] = 0.6
  scores[1 + 6] = 0.95
  const reasons = reasonsOf(row, baseline, rankedAttributions(0.8, scores, 1))
  assert.equal(reasons.length, REASONS_MAX)
  assert.deepEqual(
    reasons.map(({ feature, value, baseline: put, scoreAtBaseline }) => [
      feature,
      value,
      put,
      scoreAtBaseline,
    ]),
    [
      [FEATURES[4]?.name, 4.5, -5, 0.1],
      [FEATURES[2]?.name, 2.5, -3, 0.5],
      [FEATURES[5]?.name, 5.5, -6, 0.6],
    ],
  )
  assert.equal(
    reasons[0]?.text,
    `${FEATURES[4]?.sentence ?? ''}: 4.5; at its baseline -5 it would have scored 0.10`,
  )
})

test('of features that lower the score equally the first in the list comes first', () => {
  const scores = new Float64Array(FEATURE_COUNT).fill(0.5)
  const names = reasonsOf(row, baseline, rankedAttributions(0.8, scores, 0)).map(
    ({ feature }) => feature,
  )
  assert.deepEqual(
    names,
    FEATURES.slice(0, REASONS_MAX).map(({ name }) => name),
  )
})

test('an absent value is null in the reason and none in its words', () => {
  const absent = Float64Array.from(row)
  absent[4] = NaN
  const scores = new Float64Array(FEATURE_COUNT).fill(0.8)
  scores[4] = 0.2
  const [reason] = reasonsOf(absent, baseline, rankedAttributions(0.8, scores, 0))
  assert.equal(reason?.value, null)
  assert.equal(
    reason.text,
    `${FEATURES[4]?.sentence ?? ''}: none; at its baseline -5 it would have scored 0.20`,
  )
})

test('where no baseline value lowers the score, or none can be scored, there are no reasons', () => {
  assert.deepEqual(
    reasonsOf(row, baseline, rankedAttributions(0.8, new Float64Array(FEATURE_COUNT).fill(0.8), 0)),
    [],
  )
  assert.deepEqual(
    reasonsOf(row, baseline, rankedAttributions(0.8, new Float64Array(FEATURE_COUNT).fill(NaN), 0)),
    [],
  )
})
