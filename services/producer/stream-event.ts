// What every source of the producer yields: transactions and labels, merged in the order in which they
// become known (event time of a transaction, known-at time of a label).

import type { Label, Transaction } from '../core/transaction.ts'
import type { FraudPattern } from './fraud-pattern.ts'

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
