// What every source of the producer yields: transactions and labels, merged in the order in which they
// become known (event time of a transaction, known-at time of a label).

import type { Label, Transaction } from '../core/transaction.ts'

/** One thing that happens on the stream. */
export type StreamEvent =
  | {
      readonly kind: 'transaction'
      readonly transaction: Transaction
      /** What the simulator was playing, null for a genuine transaction and for everything replayed. */
      readonly fraudPattern: FraudPattern | null
    }
  | { readonly kind: 'label'; readonly label: Label }

/** When the event takes its place in the stream, milliseconds UTC. */
export function streamTimeMs(event: StreamEvent): number {
  return event.kind === 'transaction' ? event.transaction.eventTimeMs : event.label.knownAtMs
}

// The fraud patterns that the simulator plays. What each one looks like stands in fraud-episodes.ts.

/** Closed list; order matters only for output. */
export const FRAUD_PATTERNS = [
  'card_testing',
  'stolen_card',
  'compromised_terminal',
  'impossible_travel',
  'account_takeover',
  'below_limit',
  'leaked_card',
  'device_sweep',
  'friendly_fraud',
] as const

export type FraudPattern = (typeof FRAUD_PATTERNS)[number]

/** How many transactions of each pattern a stream held. */
export type FraudPatternCounts = Readonly<Record<FraudPattern, number>>

/** Counts transactions by fraud pattern. */
export class FraudPatternCounter {
  readonly #counts: Record<FraudPattern, number> = zeroCounts()
  #fraudCount = 0

  add(pattern: FraudPattern): void {
    this.#counts[pattern] += 1
    this.#fraudCount += 1
  }

  get fraudCount(): number {
    return this.#fraudCount
  }

  counts(): FraudPatternCounts {
    return { ...this.#counts }
  }
}

function zeroCounts(): Record<FraudPattern, number> {
  return Object.fromEntries(FRAUD_PATTERNS.map((pattern) => [pattern, 0])) as Record<
    FraudPattern,
    number
  >
}
