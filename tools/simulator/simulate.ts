// The simulator: a seeded, endless stream of card transactions with fraud in it, and of the labels that
// come later, in the order in which they become known. Pure: no clock, no environment, no input or output.
//
// The mental model is a calendar. Each card has one entry (its next payment); planned frauds, retries and
// labels are entries too. The earliest entry is taken out, becomes an event, and puts in what follows it.

import type { Label } from '../../services/core/transaction.ts'
import type { StreamEvent } from '../../services/producer/stream-event.ts'
import { Chance } from './chance.ts'
import { EventQueue } from '../../services/producer/event-queue.ts'
import { impossibleTravel } from './fraud-episodes.ts'
import { FraudPlanner } from './fraud-planner.ts'
import { genuinePayment, nextGenuineMs, retryOf } from './genuine.ts'
import { LabelDesk } from './label-desk.ts'
import { completeSimulatorOptions } from './options.ts'
import type { SimulatorOptions } from './options.ts'
import { transactionOf } from './payment.ts'
import type { Payment } from './payment.ts'
import { nextPaymentMs } from './rhythm.ts'
import { buildWorld } from './world.ts'
import type { Card, World } from './world.ts'

const HOLDER_STREAM = 4

type Entry =
  | { readonly kind: 'card'; readonly card: Card }
  | { readonly kind: 'payment'; readonly payment: Payment }

/**
 * Yields events in time order (event time of transactions, known-at time of labels; at equal times labels
 * first). After `untilMs` or `transactionsMax` the labels that are still due follow; without either the
 * stream is endless. Memory is bounded by the number of cards and the labels due.
 * @throws SluiceError SLUICE_USAGE when an option is out of bounds.
 */
export function simulate(
  options: Readonly<Partial<SimulatorOptions>> = {},
): Generator<StreamEvent, void, undefined> {
  // Checked here and not in the generator, so that a mistake shows at the call.
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

  /** Lets an armed fraud happen when this payment fits it. */
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
    return { kind: 'transaction', transaction, fraudPattern }
  }

  #plan(payment: Payment): void {
    this.#calendar.push(payment.timeMs, { kind: 'payment', payment })
  }
}
