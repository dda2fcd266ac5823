// From a score to an outcome, and from an outcome to what is published.

import { OUTCOMES, type AlertAction, type Mode, type Outcome } from '../wire/records.ts'

/** Scores from which on a transaction is flagged or blocked; from the model's manifest. flag < block. */
export interface Thresholds {
  readonly flag: number
  readonly block: number
}

/** NaN and anything outside 0 to 1 is "not scored", never a number (P7). */
export function isScore(score: number): boolean {
  return score >= 0 && score <= 1
}

/** The outcome that a score deserves. */
export function outcomeOf(score: number, thresholds: Thresholds): Outcome {
  if (score >= thresholds.block) return 'block'
  return score >= thresholds.flag ? 'flag' : 'approve'
}

/** What is published for an outcome; null is nothing. A mode never makes an outcome stricter. */
export function actionOf(outcome: Outcome, mode: Mode): AlertAction | null {
  if (outcome === 'approve' || mode === 'observe') return null
  return mode === 'enforce' ? outcome : 'flag'
}

/** Outcomes as stored with an event of a card: 0 is not known. */
export function storedOutcomeOf(outcome: Outcome): 0 | 1 | 2 | 3 {
  return (OUTCOMES.indexOf(outcome) + 1) as 1 | 2 | 3
}

/** The reverse of `storedOutcomeOf`; null is not known. */
export function outcomeOfStored(stored: number): Outcome | null {
  return OUTCOMES[stored - 1] ?? null
}
