// Values of features and scores as a person reads them in an alert.

import { FEATURES } from '../features/feature-list.ts'

const MONEY_UNIT = 'EUR'
const YES_OR_NO_UNIT = '0 or 1'
const VALUE_DIGITS = 4
const SCORE_DIGITS = 2
const SCORE_LEAST = 0.01

/** Money to the cent, yes and no in words, else four digits; `none` for what is absent. */
export function valueInWords(feature: number, value: number): string {
  if (Number.isNaN(value)) return 'none'
  const unit = FEATURES[feature]?.unit
  if (unit === MONEY_UNIT) return value.toFixed(2)
  if (unit === YES_OR_NO_UNIT && (value === 0 || value === 1)) return value === 1 ? 'yes' : 'no'
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(VALUE_DIGITS)))
}

/** Two decimals; two digits where there would be none of them. */
export function scoreInWords(score: number): string {
  return score >= SCORE_LEAST || score === 0
    ? score.toFixed(SCORE_DIGITS)
    : String(Number(score.toPrecision(SCORE_DIGITS)))
}
