// Outcome of a score, action of an outcome, id and priority of an alert.

import { createHash } from 'node:crypto'
import { type AlertAction, type Mode, type Outcome, OUTCOMES } from '../wire/records.ts'

/** Lowest scores at which a transaction is flagged or blocked; from the model's manifest. flag < block. */
export interface Thresholds {
  readonly flag: number
  readonly block: number
}

/** NaN and anything outside 0 to 1 is "not scored", never a number (P7). */
export function isScore(score: number): boolean {
  return score >= 0 && score <= 1
}

/** The outcome of a score. */
export function outcomeOf(score: number, thresholds: Thresholds): Outcome {
  if (score >= thresholds.block) return 'block'
  return score >= thresholds.flag ? 'flag' : 'approve'
}

/** The action published for an outcome; null publishes nothing. A mode never makes an outcome stricter. */
export function actionOf(outcome: Outcome, mode: Mode): AlertAction | null {
  if (outcome === 'approve' || mode === 'observe') return null
  return mode === 'enforce' ? outcome : 'flag'
}

/** Outcomes as stored with an event of a card; 0 means not known. */
export function storedOutcomeOf(outcome: Outcome): 0 | 1 | 2 | 3 {
  return (OUTCOMES.indexOf(outcome) + 1) as 1 | 2 | 3
}

/** The reverse of `storedOutcomeOf`; null means not known. */
export function outcomeOfStored(stored: number): Outcome | null {
  return OUTCOMES[stored - 1] ?? null
}

/** The id of an alert, 32 hex digits. The same input record always gives the same id. */
export function alertIdOf(
  streamId: string,
  topic: string,
  partition: number,
  offset: number,
): string {
  return createHash('sha256')
    .update(`${streamId}\n${topic}\n${partition}\n${offset}`)
    .digest('hex')
    .slice(0, 32)
}

// Priority of an alert: the expected loss without any action.

/** Least expected loss of priorities 1 to 4, in minor units of the reference currency; below it is 5. */
export const PRIORITY_LOSS_MINOR = [50_000, 10_000, 2_500, 500] as const

/** Score times amount, rounded, in minor units of the reference currency; null when there is no score. */
export function expectedLossMinorOf(score: number | null, amountMinor: number): number | null {
  return score === null || Number.isNaN(amountMinor) ? null : Math.round(score * amountMinor)
}

/** 1, the most urgent, to 5; 0 when the loss is not known. */
export function priorityOf(expectedLossMinor: number | null): number {
  if (expectedLossMinor === null) return 0
  const place = PRIORITY_LOSS_MINOR.findIndex((least) => expectedLossMinor >= least)
  return place === -1 ? PRIORITY_LOSS_MINOR.length + 1 : place + 1
}
