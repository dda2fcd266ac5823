// Reasons of an alert: each feature in turn is set to its baseline and the row is scored again (occlusion, Zeiler and
// Fergus 2014, one feature at a time). Only rows that raise an alert are explained.

import assert from 'node:assert/strict'
import { CODE_UNIT } from '../features/catalogue/feature-definition.ts'
import { FEATURE_COUNT, FEATURES } from '../features/catalogue/feature-list.ts'
import type { Reason } from '../wire/records.ts'

const VALUE_DIGITS = 4
const SCORE_DIGITS = 2
const SCORE_LEAST = 0.01

/** Seconds of each unit of time, and its name, largest first. */
const SPANS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const

/** Wording of a value by its unit; values of all other units are shown as numbers. */
const WORDS: Readonly<Record<string, (value: number) => string>> = {
  EUR: (value) => `${value.toFixed(2)} EUR`,
  '0 or 1': (value) => (value === 0 || value === 1 ? (value === 1 ? 'yes' : 'no') : number(value)),
  [CODE_UNIT]: String,
  s: span,
  hours: clockTime,
  km: (value) => `${number(value)} km`,
  'km/h': (value) => `${number(value)} km/h`,
  share: (value) => `${number(value * 100)} %`,
  ratio: (value) => `${number(value)} times`,
}

/**
 * A value in the style of its unit: money to the cent, yes and no, times in their two largest units, shares in per
 * cent, everything else to four digits; `none` for an absent value.
 */
export function valueInWords(feature: number, value: number): string {
  if (Number.isNaN(value)) return 'none'
  const words = WORDS[FEATURES[feature]?.unit ?? ''] ?? number
  return words(value)
}

/** Two different values of a feature, distinguishable: exact, when rounding would make them equal. */
export function valuesInWords(
  feature: number,
  one: number,
  other: number,
): readonly [string, string] {
  const [words, others] = [valueInWords(feature, one), valueInWords(feature, other)]
  if (words !== others || Object.is(one, other)) return [words, others]
  const unit = FEATURES[feature]?.unit ?? ''
  return [`${one} ${unit}`, `${other} ${unit}`]
}

/** Two decimals; two significant digits when both would be zero. */
export function scoreInWords(score: number): string {
  return score >= SCORE_LEAST || score === 0
    ? score.toFixed(SCORE_DIGITS)
    : String(Number(score.toPrecision(SCORE_DIGITS)))
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(VALUE_DIGITS)))
}

/** A time in its two largest units: "12.5 s", "34 min 9 s", "4 h 49 min", "2 d". */
function span(seconds: number): string {
  const rounded = Math.round(seconds)
  const at = SPANS.findIndex(([length]) => rounded >= length)
  const [large, small] = [SPANS[at], SPANS[at + 1]]
  if (large === undefined || small === undefined) return `${number(seconds)} s`
  // Rounded in the smaller unit, so that it never amounts to a whole larger unit.
  const parts = Math.round(rounded / small[0])
  const each = large[0] / small[0]
  const rest = parts % each
  return `${Math.floor(parts / each)} ${large[1]}${rest === 0 ? '' : ` ${rest} ${small[1]}`}`
}

/** Hours of a day in clock notation. */
function clockTime(hours: number): string {
  const minutes = Math.floor(hours * 60)
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** Most reasons that one alert carries. */
export const REASONS_MAX = 3

/** The features of a row that differ from their baseline value; setting the others to it would change nothing. */
export function unusualFeatures(row: Float64Array, baseline: readonly number[]): readonly number[] {
  assert(row.length === baseline.length, 'Every feature has a value and a baseline.')
  const unusual: number[] = []
  for (const [feature, value] of row.entries()) {
    if (!Object.is(value, baseline[feature])) unusual.push(feature)
  }
  return unusual
}

/** One copy of the row per feature, with that feature at its baseline value, in order. Written at `position`. */
export function writeOcclusions(
  row: Float64Array,
  baseline: readonly number[],
  features: readonly number[],
  target: Float64Array,
  position: number,
): void {
  for (const [copy, feature] of features.entries()) {
    const start = position + copy * FEATURE_COUNT
    target.set(row, start)
    target[start + feature] = valueOf(baseline, feature)
  }
}

/** A feature, and the score that its baseline value would have given. */
export interface Attribution {
  readonly feature: number
  readonly scoreAtBaseline: number
}

/** Features whose baseline value would have lowered the score, with that score, strongest first. NaN: not computed. */
export function rankedAttributions(
  score: number,
  occludedScores: Float64Array,
  position: number,
): readonly Attribution[] {
  const attributions: Attribution[] = []
  const own = occludedScores.subarray(position, position + FEATURE_COUNT)
  for (const [feature, scoreAtBaseline] of own.entries()) {
    if (scoreAtBaseline < score) attributions.push({ feature, scoreAtBaseline })
  }
  return attributions.sort((a, b) => a.scoreAtBaseline - b.scoreAtBaseline || a.feature - b.feature)
}

/** The features whose baseline value would have lowered the score most, strongest first. */
export function reasonsOf(
  row: Float64Array,
  baseline: readonly number[],
  attributions: readonly Attribution[],
): readonly Reason[] {
  return attributions.slice(0, REASONS_MAX).map(({ feature, scoreAtBaseline }) => {
    const value = valueOf(row, feature)
    return toReason(feature, value, valueOf(baseline, feature), scoreAtBaseline)
  })
}

function valueOf(row: ArrayLike<number>, feature: number): number {
  const value = row[feature]
  assert(value !== undefined, 'There is no such feature.')
  return value
}

function toReason(
  feature: number,
  value: number,
  baseline: number,
  scoreAtBaseline: number,
): Reason {
  const definition = FEATURES[feature]
  const [is, wouldBe] = valuesInWords(feature, value, baseline)
  const text =
    `${definition?.sentence ?? ''}: ${is}; ` +
    `at its baseline ${wouldBe} it would have scored ${scoreInWords(scoreAtBaseline)}`
  return {
    feature: definition?.name ?? '',
    value: Number.isNaN(value) ? null : value,
    baseline: Number.isNaN(baseline) ? 0 : baseline,
    scoreAtBaseline,
    text,
  }
}
