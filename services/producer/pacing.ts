// When each transaction is meant to be sent. The schedule is open loop: it is fixed by the start, the rate and
// the stream alone, and neither a slow broker nor a late timer moves it. Who measures latency from the
// intended time sees every delay, also those that a waiting sender would hide.

import type { Clock } from '../core/clock.ts'

/** Transactions per second, a multiple of real time by event time, or as fast as the broker takes them. */
export type Pace =
  | { readonly kind: 'rate'; readonly perSecond: number }
  | { readonly kind: 'speed'; readonly factor: number }
  | { readonly kind: 'flat_out' }

/** Waits for about this long; returns early when the producer is stopped. */
export type Sleep = (ms: number) => Promise<void>

/** Waits are cut into slices of this length, so that a stop is noticed in the middle of a long gap. */
export const SLEEP_MS_MAX = 250

/** Keeps the schedule. Hot path: no allocation for an event that is due. */
export class Pacer {
  readonly #pace: Pace
  readonly #clock: Clock
  readonly #startMonotonicMs: number
  readonly #startMs: number
  #transactionCount = 0
  #firstEventTimeMs: number | null = null
  #intendedMs: number

  constructor(pace: Pace, clock: Clock) {
    this.#pace = pace
    this.#clock = clock
    this.#startMonotonicMs = clock.monotonicMs()
    this.#startMs = clock.nowMs()
    this.#intendedMs = this.#startMs
  }

  /** Puts the next transaction on the schedule and returns its intended send time, wall clock. */
  scheduleTransaction(eventTimeMs: number): number {
    const index = this.#transactionCount
    this.#transactionCount += 1
    this.#firstEventTimeMs ??= eventTimeMs
    switch (this.#pace.kind) {
      case 'rate':
        this.#intendedMs = this.#startMs + (index * 1_000) / this.#pace.perSecond
        break
      case 'speed':
        this.#intendedMs =
          this.#startMs + (eventTimeMs - this.#firstEventTimeMs) / this.#pace.factor
        break
      case 'flat_out':
        this.#intendedMs = this.#nowMs()
        break
    }
    return this.#intendedMs
  }

  /** Send time of what is not on the schedule (labels, watermarks): that of the transaction before it. */
  get intendedMs(): number {
    return this.#intendedMs
  }

  /** How long until the transaction that was scheduled last is due; 0 or less when it is. */
  get dueInMs(): number {
    return this.#pace.kind === 'flat_out' ? 0 : this.#intendedMs - this.#nowMs()
  }

  // Monotonic time from the start, so that a step of the wall clock never bends the schedule.
  #nowMs(): number {
    return this.#startMs + (this.#clock.monotonicMs() - this.#startMonotonicMs)
  }
}

/** Waits until the scheduled transaction is due. Returns false when `isStopped` became true before. */
export async function waitUntilDue(
  pacer: Pacer,
  sleep: Sleep,
  isStopped: () => boolean,
): Promise<boolean> {
  for (let dueInMs = pacer.dueInMs; dueInMs > 0; dueInMs = pacer.dueInMs) {
    if (isStopped()) return false
    await sleep(Math.min(dueInMs, SLEEP_MS_MAX))
  }
  return true
}
