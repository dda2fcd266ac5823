// A payment on its way to becoming a transaction: what the simulator knows and the bank does not (which
// fraud it belongs to) stands beside what becomes the message.

import type { Transaction } from '../../services/core/transaction.ts'
import type { FraudPattern } from '../../services/producer/stream-event.ts'
import type { Card, Merchant, Terminal } from './world.ts'

export interface Payment {
  readonly card: Card
  readonly timeMs: number
  readonly amountMinor: number
  readonly merchant: Merchant
  /** Null when no terminal was used. */
  readonly terminal: Terminal | null
  readonly channel: 'pos' | 'atm' | 'ecommerce' | 'moto'
  readonly entryMode: NonNullable<Transaction['entryMode']>
  readonly authorisation: 'approved' | 'declined'
  readonly device: string | null
  readonly ipNetwork: string | null
  /** Local time of whoever pays. */
  readonly utcOffsetMinutes: number
  /** The number of the purchase, for a retry of it; null for a purchase of its own. */
  readonly intent: number | null
  readonly fraudPattern: FraudPattern | null
}

/** The transaction that the bank sees. `number` counts transactions, `intent` purchases, of one seed. */
export function transactionOf(
  payment: Payment,
  seed: number,
  number: number,
  intent: number,
): Transaction {
  const { merchant, terminal } = payment
  const { city } = merchant
  return {
    // A letter keeps the two numbers apart: long runs of digits and dashes would look like a card number
    // to the redactor of logs.
    id: `tx-${seed}-n${number}`,
    card: payment.card.token,
    eventTimeMs: payment.timeMs,
    amountMinor: payment.amountMinor,
    currency: city.currency,
    merchant: merchant.id,
    merchantCategory: merchant.category.code,
    terminal: terminal === null ? null : terminal.id,
    country: city.country,
    latitude: terminal === null ? null : terminal.latitude,
    longitude: terminal === null ? null : terminal.longitude,
    utcOffsetMinutes: payment.utcOffsetMinutes,
    device: payment.device,
    ipNetwork: payment.ipNetwork,
    channel: payment.channel,
    entryMode: payment.entryMode,
    authorisation: payment.authorisation,
    intentId: `intent-${seed}-n${intent}`,
  }
}

const AMOUNT_MINOR_MIN = 50
const AMOUNT_MINOR_MAX = 1_000_000

/** An amount around the merchant's usual one for this card, from 0.50 to 10,000.00. */
export function usualAmountMinor(card: Card, merchant: Merchant, factor: number): number {
  const minor = merchant.category.amountMinor * merchant.level * card.level * factor
  return Math.min(AMOUNT_MINOR_MAX, Math.max(AMOUNT_MINOR_MIN, Math.round(minor)))
}
