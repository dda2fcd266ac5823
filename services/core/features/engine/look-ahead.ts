// What the next transactions of a batch need, found some dozens at a time and brought near (prefetch.ts): their events,
// their cards and their entities.

import type { RateTable } from '../../currency.ts'
import type { Transaction } from '../../transaction.ts'
import { prefetch, NEAR_MAX } from '../state/prefetch.ts'
import {
  blankCardEvent,
  fillCardEvent,
  type EventNeeds,
  type MutableCardEvent,
} from '../state/card-event.ts'
import type { CardHistory } from '../state/card-history.ts'
import type { PartitionState } from './fold-state.ts'
import type { PartitionEntities } from './partition-entities.ts'

const NONE: readonly Transaction[] = []

export class LookAhead {
  readonly #rates: RateTable
  readonly #needs: EventNeeds
  readonly #entities: PartitionEntities
  readonly #events = Array.from({ length: NEAR_MAX }, blankCardEvent)
  readonly #histories: CardHistory[] = []
  #transactions = NONE
  #state: PartitionState | null = null
  /** Of the transactions: the next one, and those that are at hand, from `#from` up to `#to`. */
  #next = 0
  #from = 0
  #to = 0

  constructor(rates: RateTable, needs: EventNeeds, entities: PartitionEntities) {
    this.#rates = rates
    this.#needs = needs
    this.#entities = entities
  }

  /** These come next, in this order. */
  expect(transactions: readonly Transaction[], state: PartitionState): void {
    this.#transactions = transactions
    this.#state = state
    this.#next = 0
    this.#from = 0
    this.#to = 0
  }

  /** The place of what is at hand for this transaction; -1 where another one was expected. Hot path. */
  take(transaction: Transaction, state: PartitionState): number {
    if (this.#transactions[this.#next] !== transaction || this.#state !== state) return -1
    if (this.#next === this.#to) this.#look(state)
    const place = this.#next - this.#from
    this.#next += 1
    // The batch is not held on to.
    if (this.#next === this.#transactions.length) {
      this.#transactions = NONE
      this.#state = null
    }
    return place
  }

  /** The event at a place, but for its offset and its message. Hot path. */
  eventAt(place: number): MutableCardEvent {
    const event = this.#events[place]
    if (event === undefined) throw new RangeError(`No event is at hand at ${place}.`)
    return event
  }

  /** Hot path. */
  historyAt(place: number): CardHistory {
    const history = this.#histories[place]
    if (history === undefined) throw new RangeError(`No card is at hand at ${place}.`)
    return history
  }

  #look(state: PartitionState): void {
    const transactions = this.#transactions
    const histories = this.#histories
    const from = this.#to
    const count = Math.min(NEAR_MAX, transactions.length - from)
    this.#from = from
    this.#to = from + count
    for (let place = 0; place < count; place += 1) {
      const transaction = transactions[from + place]
      if (transaction === undefined) continue
      fillCardEvent(this.eventAt(place), transaction, 0, this.#rates, this.#needs)
    }
    for (let place = 0; place < count; place += 1) {
      const transaction = transactions[from + place]
      if (transaction !== undefined) histories[place] = state.card(transaction.card)
    }
    prefetch(histories, count)
    this.#entities.look(this.#events, count, state)
  }
}
