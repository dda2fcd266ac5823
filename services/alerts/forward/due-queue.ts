// Which message of one target goes out next, and when: it must be due, the circuit must let it through, and the rate
// must allow it. A message that waits for another try holds up nobody but its own card.

import { Circuit, type CircuitLimits } from './circuit.ts'

/** One message that may go out once it is due. */
interface DueItem<Item> {
  readonly item: Item
  readonly dueAtMs: number
}

export type NextCall<Item> =
  | { readonly kind: 'call'; readonly item: Item; readonly isProbe: boolean }
  /** `atMs`: when to ask again; null when a call that runs, or a new message, decides. */
  | { readonly kind: 'wait'; readonly atMs: number | null }

export interface DueQueueOptions {
  readonly circuit: CircuitLimits
  readonly ratePerSecondMax: number | null
}

/** Time comes from the caller, in ms of one monotonic clock. */
export class DueQueue<Item> {
  readonly circuit: Circuit
  readonly #intervalMs: number
  #items: DueItem<Item>[] = []
  #nextCallAtMs = Number.NEGATIVE_INFINITY

  constructor(options: DueQueueOptions) {
    this.circuit = new Circuit(options.circuit)
    this.#intervalMs = options.ratePerSecondMax === null ? 0 : 1_000 / options.ratePerSecondMax
  }

  get size(): number {
    return this.#items.length
  }

  /** Among messages that are due, those that became due first go first. */
  add(item: Item, dueAtMs: number): void {
    this.#items.push({ item, dueAtMs })
  }

  /** Forgets every message that waits. */
  clear(): void {
    this.#items = []
  }

  next(nowMs: number): NextCall<Item> {
    let first = 0
    for (let index = 1; index < this.#items.length; index += 1) {
      if (this.#dueAtMs(index) < this.#dueAtMs(first)) first = index
    }
    const dueAtMs = Math.max(this.#dueAtMs(first), this.#nextCallAtMs)
    if (dueAtMs > nowMs) return { kind: 'wait', atMs: Number.isFinite(dueAtMs) ? dueAtMs : null }
    const admission = this.circuit.admit(nowMs)
    if (!admission.isAdmitted) return { kind: 'wait', atMs: admission.atMs }
    const [found] = this.#items.splice(first, 1)
    if (found === undefined) throw new Error('A message that is due is in the queue.')
    // Evenly spaced: there is no burst after a pause.
    this.#nextCallAtMs = nowMs + this.#intervalMs
    return { kind: 'call', item: found.item, isProbe: admission.isProbe }
  }

  #dueAtMs(index: number): number {
    return this.#items[index]?.dueAtMs ?? Number.POSITIVE_INFINITY
  }
}
