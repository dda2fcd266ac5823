// What the label column of a file says of a transaction, as a label that is known a fixed time later.

import type { Label, Transaction } from '../transaction.ts'

/** The label of a row. */
export function labelOfRow(
  transaction: Transaction,
  verdict: Label['verdict'],
  labelDelayMs: number,
): Label {
  return {
    transactionId: transaction.id,
    card: transaction.card,
    eventTimeMs: transaction.eventTimeMs,
    knownAtMs: transaction.eventTimeMs + labelDelayMs,
    verdict,
    source: 'replay',
    merchant: transaction.merchant,
    terminal: transaction.terminal,
    device: transaction.device,
    ipNetwork: transaction.ipNetwork,
  }
}
