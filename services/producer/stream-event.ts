// The events of every source of the producer: transactions and labels, merged in the order in which they become known
// (event time of a transaction, known-at time of a label), and the fraud patterns of simulated ones.

import type { Label, Transaction } from '../core/transaction.ts'

/** One event of the stream. */
export type StreamEvent =
  | {
      readonly kind: 'transaction'
      readonly transaction: Transaction
      /** The simulated pattern; null for genuine and for replayed transactions. */
      readonly fraudPattern: FraudPattern | null
    }
  | { readonly kind: 'label'; readonly label: Label }

/** Time of the event in the stream, milliseconds UTC. */
export function streamTimeMs(event: StreamEvent): number {
  return event.kind === 'transaction' ? event.transaction.eventTimeMs : event.label.knownAtMs
}

/** Fraud patterns of the simulator. Closed list; the order matters only for output. */
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

/** Number of transactions by pattern. */
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
