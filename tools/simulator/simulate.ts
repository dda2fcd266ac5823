// Labels: who reports a fraud, and when. Chargebacks come about the usual delay after the fraud, reports by customers
// sooner, reports by analysts within the first days; some genuine transactions are cleared by an analyst or the
// customer.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import { EventQueue } from '../../services/producer/event-queue.ts'
import type { FraudPattern, StreamEvent } from '../../services/producer/stream-event.ts'
import { Chance } from './chance.ts'
import { FraudPlanner, impossibleTravel } from './fraud-planner.ts'
import {
  genuinePayment,
  nextGenuineMs,
  nextPaymentMs,
  type Payment,
  retryOf,
  transactionOf,
} from './genuine.ts'
import { completeSimulatorOptions, type SimulatorOptions } from './options.ts'
import { buildWorld, type Card, type World } from './world.ts'

const LABEL_STREAM = 3
const DELAY_MS_MIN = 1_000
/** Analysts examine large amounts more often than others. */
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

/** Draws labels with separate random numbers: labels never change the transactions. */
export class LabelDesk {
  readonly #chance: Chance
  readonly #labelDelayMs: number
  readonly #genuineShare: number

  constructor(options: SimulatorOptions) {
    this.#chance = new Chance(options.seed, LABEL_STREAM)
    this.#labelDelayMs = options.labelDelayMs
    this.#genuineShare = options.genuineLabelShare
  }

  /** The label that this transaction will get, or null when nobody examines it. */
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

// The simulator: a seeded, endless stream of card transactions with fraud in it, and of the labels that follow, in the
// order in which they become known. Pure: no clock, no environment, no input or output.
// The mental model is a calendar. Each card has one entry (its next payment); planned frauds, retries and labels are
// entries too. The earliest entry is removed, becomes an event, and adds the entries that follow from it.

const HOLDER_STREAM = 4

type Entry =
  | { readonly kind: 'card'; readonly card: Card }
  | { readonly kind: 'payment'; readonly payment: Payment }

/**
 * Yields events in time order (event time of transactions, known-at time of labels; at equal times labels first). After
 * `untilMs` or `transactionsMax` the outstanding labels follow; without either, the stream is endless. Memory is
 * bounded by the number of cards and outstanding labels. @throws SluiceError SLUICE_USAGE when an option is out of
 * bounds.
 */
export function simulate(
  options: Readonly<Partial<SimulatorOptions>> = {},
): Generator<StreamEvent, void, undefined> {
  // Checked here rather than in the generator, so that an error appears at the call.
  return run(new Simulation(completeSimulatorOptions(options)))
}

function* run(simulation: Simulation): Generator<StreamEvent, void, undefined> {
  for (let event = simulation.next(); event !== null; event = simulation.next()) yield event
}

class Simulation {
  readonly #options: SimulatorOptions
  readonly #world: World
  readonly #planner: FraudPlanner
  readonly #labelDesk: LabelDesk
  readonly #chance: Chance
  readonly #calendar = new EventQueue<Entry>()
  readonly #labels = new EventQueue<Label>()
  readonly #endMs: number
  readonly #transactionsMax: number
  /** Minor units of the world's currency for one of those that it plans with. */
  readonly #minorPerPlanned: number
  #transactionCount = 0
  #intentCount = 0

  constructor(options: SimulatorOptions) {
    this.#options = options
    this.#world = buildWorld(options)
    this.#planner = new FraudPlanner(options, this.#world)
    this.#labelDesk = new LabelDesk(options)
    this.#chance = new Chance(options.seed, HOLDER_STREAM)
    this.#endMs = options.untilMs ?? Number.POSITIVE_INFINITY
    this.#transactionsMax = options.transactionsMax ?? Number.POSITIVE_INFINITY
    this.#minorPerPlanned = minorPerPlanned(options)
    for (const card of this.#world.cards) {
      const { utcOffsetMinutes } = card.at
      const firstMs = nextPaymentMs(options.startMs, card.meanGapMs, utcOffsetMinutes, this.#chance)
      this.#calendar.push(firstMs, { kind: 'card', card })
    }
  }

  /** The next event, or null at the end. */
  next(): StreamEvent | null {
    const isOver =
      this.#transactionCount >= this.#transactionsMax || this.#calendar.nextTimeMs >= this.#endMs
    const nextMs = isOver ? Number.POSITIVE_INFINITY : this.#calendar.nextTimeMs
    if (this.#labels.size > 0 && this.#labels.nextTimeMs <= nextMs) {
      const label = this.#labels.pop()
      return label === undefined ? null : { kind: 'label', label }
    }
    if (isOver) return null
    const entry = this.#calendar.pop()
    if (entry === undefined) return null
    return entry.kind === 'card' ? this.#cardPays(entry.card, nextMs) : this.#emit(entry.payment)
  }

  #cardPays(card: Card, nowMs: number): StreamEvent {
    const genuine = genuinePayment(card, nowMs, this.#world, this.#chance)
    const payment = this.#strike(this.#planner.tamper(genuine))
    for (const planned of this.#planner.afterGenuine(nowMs)) this.#plan(planned)
    const nextMs = nextGenuineMs(card, nowMs, this.#world, this.#chance)
    this.#calendar.push(nextMs, { kind: 'card', card })
    return this.#emit(payment)
  }

  /** Triggers an armed fraud when this payment fits it. */
  #strike(payment: Payment): Payment {
    const { card } = payment
    if (card.armed === null || payment.fraudPattern !== null) return payment
    if (card.armed === 'friendly_fraud') {
      if (payment.channel !== 'ecommerce') return payment
      card.armed = null
      return { ...payment, authorisation: 'approved', fraudPattern: 'friendly_fraud' }
    }
    if (payment.terminal === null) return payment
    const copies = impossibleTravel(payment, this.#world, this.#planner.chance)
    card.armed = null
    this.#planner.settle('impossible_travel', copies?.length ?? 0)
    for (const copy of copies ?? []) this.#plan(copy)
    return payment
  }

  #emit(payment: Payment): StreamEvent {
    if (payment.intent === null) this.#intentCount += 1
    const intent = payment.intent ?? this.#intentCount
    this.#transactionCount += 1
    const { seed } = this.#options
    const transaction = transactionOf(payment, seed, this.#transactionCount, intent)
    const { fraudPattern } = payment
    if (fraudPattern === null) {
      const retry = retryOf(payment, intent, this.#chance)
      if (retry !== null) this.#plan(retry)
    }
    const label = this.#labelDesk.labelOf(transaction, fraudPattern)
    if (label !== null) this.#labels.push(label.knownAtMs, label)
    return { kind: 'transaction', transaction: this.#inCurrency(transaction), fraudPattern }
  }

  #inCurrency(transaction: Transaction): Transaction {
    const { currency } = this.#options
    if (currency === null) return transaction
    const amountMinor = Math.max(1, Math.round(transaction.amountMinor * this.#minorPerPlanned))
    return { ...transaction, currency, amountMinor }
  }

  #plan(payment: Payment): void {
    this.#calendar.push(payment.timeMs, { kind: 'payment', payment })
  }
}

/** Amounts are planned in cents of a euro. */
function minorPerPlanned({ currency, startMs }: SimulatorOptions): number {
  if (currency === null) return 1
  const many = 1_000_000
  return many / (DEFAULT_RATES.toReferenceMinor(many, currency, startMs) ?? many)
}
