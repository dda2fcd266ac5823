// Who finds out, and when. Chargebacks come about the usual delay after the fraud, customers sooner,
// analysts within the first days; some genuine transactions are cleared by an analyst or the customer.

import type { Label, Transaction } from '../../services/core/transaction.ts'
import { Chance } from './chance.ts'
import type { FraudPattern } from '../../services/producer/stream-event.ts'
import type { SimulatorOptions } from './options.ts'

const LABEL_STREAM = 3
const DELAY_MS_MIN = 1_000
/** Analysts look at large amounts more often than at others. */
const LARGE_MINOR = 50_000
const LARGE_FACTOR = 5

interface Desk {
  readonly source: Label['source']
  /** Delay as a share of the usual delay. */
  readonly from: number
  readonly to: number
}

const ANALYST: Desk = { source: 'analyst', from: 0.01, to: 0.15 }
const CUSTOMER: Desk = { source: 'customer', from: 0.05, to: 0.6 }
const CHARGEBACK: Desk = { source: 'chargeback', from: 0.7, to: 1.8 }
const DISPUTE: Desk = { source: 'chargeback', from: 1.5, to: 3 }

/** Draws labels, from chance of its own: labels never change which transactions there are. */
export class LabelDesk {
  readonly #chance: Chance
  readonly #labelDelayMs: number
  readonly #genuineShare: number

  constructor(options: SimulatorOptions) {
    this.#chance = new Chance(options.seed, LABEL_STREAM)
    this.#labelDelayMs = options.labelDelayMs
    this.#genuineShare = options.genuineLabelShare
  }

  /** The label that this transaction will get, or null when nobody looks at it. */
  labelOf(transaction: Transaction, pattern: FraudPattern | null): Label | null {
    if (pattern !== null) return this.#label(transaction, 'fraud', this.#fraudDesk(pattern))
    const isLarge = transaction.amountMinor >= LARGE_MINOR
    const share = isLarge ? this.#genuineShare * LARGE_FACTOR : this.#genuineShare
    if (!this.#chance.happens(share)) return null
    return this.#label(transaction, 'genuine', this.#chance.happens(0.7) ? ANALYST : CUSTOMER)
  }

  #fraudDesk(pattern: FraudPattern): Desk {
    if (pattern === 'friendly_fraud') return DISPUTE
    const draw = this.#chance.below(100)
    return draw < 25 ? ANALYST : draw < 60 ? CUSTOMER : CHARGEBACK
  }

  #label(transaction: Transaction, verdict: 'fraud' | 'genuine', desk: Desk): Label {
    const share = desk.from + (desk.to - desk.from) * this.#chance.unit()
    const delayMs = Math.max(DELAY_MS_MIN, Math.floor(this.#labelDelayMs * share))
    return {
      transactionId: transaction.id,
      card: transaction.card,
      eventTimeMs: transaction.eventTimeMs,
      knownAtMs: transaction.eventTimeMs + delayMs,
      verdict,
      source: desk.source,
      merchant: transaction.merchant,
      terminal: transaction.terminal,
      device: transaction.device,
      ipNetwork: transaction.ipNetwork,
    }
  }
}
