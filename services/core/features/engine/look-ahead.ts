// Looks up what the next transactions of a batch need, one group at a time, and prefetches it (prefetch.ts): their
// events, cards and entities.

import type { RateTable } from '../../rates/rate-table.ts'
import type { Transaction } from '../../transaction.ts'
import { prefetch, GROUP_MAX } from '../state/prefetch.ts'
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
  #rates: RateTable
  readonly #needs: EventNeeds
  readonly #entities: PartitionEntities
  readonly #events = Array.from({ length: GROUP_MAX }, blankCardEvent)
  readonly #histories: CardHistory[] = []
  #transactions = NONE
  #state: PartitionState | null = null
  /** Indexes of transactions: the next one, and the group that is prepared, from `#from` up to `#to`. */
  #next = 0
  #from = 0
  #to = 0

  constructor(rates: RateTable, needs: EventNeeds, entities: PartitionEntities) {
    this.#rates = rates
    this.#needs = needs
    this.#entities = entities
  }

  /** Converts the transactions that are expected from now on. */
  useRates(rates: RateTable): void {
    this.#rates = rates
  }

  /** Announces the next transactions, in this order. */
  expect(transactions: readonly Transaction[], state: PartitionState): void {
    this.#transactions = transactions
    this.#state = state
    this.#next = 0
    this.#from = 0
    this.#to = 0
  }

  /** Index in the group of this transaction; -1 if another one was expected. Hot path. */
  take(transaction: Transaction, state: PartitionState): number {
    if (this.#transactions[this.#next] !== transaction || this.#state !== state) return -1
    if (this.#next === this.#to) this.#prepare(state)
    const index = this.#next - this.#from
    this.#next += 1
    // Releases the batch.
    if (this.#next === this.#transactions.length) {
      this.#transactions = NONE
      this.#state = null
    }
    return index
  }

  /** The event at an index of the group; its offset is not set. Hot path. */
  eventAt(index: number): MutableCardEvent {
    const event = this.#events[index]
    if (event === undefined) throw new RangeError(`The group has no event ${index}.`)
    return event
  }

  /** Hot path. */
  historyAt(index: number): CardHistory {
    const history = this.#histories[index]
    if (history === undefined) throw new RangeError(`The group has no card ${index}.`)
    return history
  }

  #prepare(state: PartitionState): void {
    const transactions = this.#transactions
    const histories = this.#histories
    const from = this.#to
    const count = Math.min(GROUP_MAX, transactions.length - from)
    this.#from = from
    this.#to = from + count
    for (let index = 0; index < count; index += 1) {
      const transaction = transactions[from + index]
      if (transaction === undefined) continue
      fillCardEvent(this.eventAt(index), transaction, 0, this.#rates, this.#needs)
    }
    for (let index = 0; index < count; index += 1) {
      const transaction = transactions[from + index]
      if (transaction !== undefined) histories[index] = state.card(transaction.card)
    }
    prefetch(histories, count)
    this.#entities.prepare(this.#events, count, state)
  }
}
