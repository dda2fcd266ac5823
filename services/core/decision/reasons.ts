// Why a transaction scored as it did: each feature in turn is put to its usual value and the row is scored
// again (occlusion, as in Zeiler and Fergus 2014, one feature at a time). Only for rows that are alerted.

import { FEATURES, FEATURE_COUNT } from '../features/catalogue/feature-list.ts'
import type { Reason } from '../wire/records.ts'
import { scoreInWords, valuesInWords } from './value-words.ts'

/** Most reasons that one alert carries. */
export const REASONS_MAX = 3

/** The features of a row that are not at their usual value: to put the others there would change nothing. */
export function unusualFeatures(row: Float64Array, usual: readonly number[]): readonly number[] {
  const unusual: number[] = []
  for (let feature = 0; feature < FEATURE_COUNT; feature += 1) {
    if (!Object.is(row[feature], usual[feature] ?? NaN)) unusual.push(feature)
  }
  return unusual
}

/** The row repeated, in each copy one of `features` at its usual value, in their order. Written at `position`. */
export function writeOcclusions(
  row: Float64Array,
  usual: readonly number[],
  features: readonly number[],
  target: Float64Array,
  position: number,
): void {
  for (const [copy, feature] of features.entries()) {
    const start = position + copy * FEATURE_COUNT
    target.set(row, start)
    target[start + feature] = usual[feature] ?? NaN
  }
}

/** A feature, and the score that its usual value would have given. */
export interface Drop {
  readonly feature: number
  readonly scoreAtBaseline: number
}

/** Features whose usual value would have lowered the score, and to what; strongest first. NaN was not asked about. */
export function rankedDrops(
  score: number,
  occludedScores: Float64Array,
  position: number,
): readonly Drop[] {
  const drops: Drop[] = []
  for (let feature = 0; feature < FEATURE_COUNT; feature += 1) {
    const scoreAtBaseline = occludedScores[position + feature] ?? NaN
    if (scoreAtBaseline < score) drops.push({ feature, scoreAtBaseline })
  }
  return drops.sort((a, b) => a.scoreAtBaseline - b.scoreAtBaseline || a.feature - b.feature)
}

/** The features whose usual value would have lowered the score most, strongest first. */
export function reasonsOf(
  row: Float64Array,
  usual: readonly number[],
  drops: readonly Drop[],
): readonly Reason[] {
  return drops.slice(0, REASONS_MAX).map(({ feature, scoreAtBaseline }) => {
    const value = row[feature] ?? NaN
    return toReason(feature, value, usual[feature] ?? NaN, scoreAtBaseline)
  })
}

function toReason(feature: number, value: number, usual: number, scoreAtBaseline: number): Reason {
  const definition = FEATURES[feature]
  const [is, wouldBe] = valuesInWords(feature, value, usual)
  const text =
    `${definition?.sentence ?? ''}: ${is}; ` +
    `at its usual ${wouldBe} it would have scored ${scoreInWords(scoreAtBaseline)}`
  return {
    feature: definition?.name ?? '',
    value: Number.isNaN(value) ? null : value,
    usual: Number.isNaN(usual) ? 0 : usual,
    scoreAtBaseline,
    text,
  }
}
