// What a history held, and what of it was left out and why: counted by name, shown to people, kept with the model.

import { quantileOf } from './quantiles.ts'

/** Why something of a history has no part in training. Closed list: it is kept with every model. */
export const SKIP_REASONS = [
  'transaction_repeated',
  'transaction_without_rate',
  'transaction_not_finite',
  'feature_not_finite',
  'label_of_unknown_transaction',
  'label_of_other_card_or_time',
  'label_not_finite',
  'label_without_verdict',
  'label_clashes',
  'unreadable',
] as const
export type SkipReason = (typeof SKIP_REASONS)[number]

export type SkipCounts = Readonly<Record<SkipReason, number>>

/** How long after their transactions labels became known, milliseconds. */
export interface LabelDelays {
  readonly medianMs: number
  readonly p90Ms: number
  readonly maxMs: number
}

export interface HistoryFacts {
  /** Event times of the first and the last transaction. */
  readonly firstMs: number
  readonly lastMs: number
  readonly transactions: number
  readonly cards: number
  readonly frauds: number
  readonly labels: number
  /** Labels whose verdict a later one replaced. */
  readonly correctedLabels: number
  /** Null without labels. */
  readonly labelDelay: LabelDelays | null
  readonly skipped: SkipCounts
}

/** Counts of nothing. */
export function noSkips(): Record<SkipReason, number> {
  return Object.fromEntries(SKIP_REASONS.map((reason) => [reason, 0])) as Record<SkipReason, number>
}

/** Quantiles of the delays; null when there are none. */
export function delaysOf(delaysMs: Float64Array): LabelDelays | null {
  if (delaysMs.length === 0) return null
  const sorted = delaysMs.toSorted()
  return {
    medianMs: quantileOf(sorted, 0.5),
    p90Ms: quantileOf(sorted, 0.9),
    maxMs: quantileOf(sorted, 1),
  }
}

/** One sentence for people; null when nothing was left out. */
export function skipText(skipped: SkipCounts): string | null {
  const parts = SKIP_REASONS.filter((reason) => skipped[reason] > 0).map(
    (reason) => `${skipped[reason]} ${reason}`,
  )
  return parts.length === 0 ? null : `left out: ${parts.join(', ')}`
}
