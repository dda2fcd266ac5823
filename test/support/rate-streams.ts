// Payments in several currencies, of a few cards.

import type { Transaction } from '../../services/core/transaction.ts'
import { minimalTransaction } from '../unit/core/wire/samples.ts'

const CARDS = 3

/** The payment of this number. */
export function transactionAt(eventTimeMs: number, index: number, currency: string): Transaction {
  return {
    ...minimalTransaction,
    id: `tx-${index}`,
    card: `card-${index % CARDS}`,
    eventTimeMs,
    amountMinor: 1_000 + ((index * 7_919) % 5_000),
    currency,
  }
}
