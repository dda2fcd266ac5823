// The schedule of sending. It is open loop: it depends only on the start, the rate and the stream, and neither a slow
// broker nor a late timer shifts it. Latency measured from the intended time includes every delay, also those that a
// closed loop would hide (coordinated omission).

import type { Clock } from '../core/clock.ts'

/** Transactions per second, a multiple of event time, or as fast as the broker accepts them. */
export type Pace =
  | { readonly kind: 'rate'; readonly perSecond: number }
  | { readonly kind: 'speed'; readonly factor: number }
  | { readonly kind: 'flat_out' }

/** Waits for about this time; returns early when the producer is stopped. */
export type Sleep = (ms: number) => Promise<void>

/** Longest single wait, so that a stop is noticed during a long gap. */
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

  /** Schedules the next transaction and returns its intended send time, wall clock. */
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

  /** Send time of labels and watermarks, which are not scheduled: that of the preceding transaction. */
  get intendedMs(): number {
    return this.#intendedMs
  }

  /** Time until the last scheduled transaction is due; 0 or less when it is due. */
  get dueInMs(): number {
    return this.#pace.kind === 'flat_out' ? 0 : this.#intendedMs - this.#nowMs()
  }

  // Monotonic time from the start, so that a step of the wall clock does not affect the schedule.
  #nowMs(): number {
    return this.#startMs + (this.#clock.monotonicMs() - this.#startMonotonicMs)
  }
}

/** Waits until the scheduled transaction is due. Returns false when `isStopped` becomes true first. */
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
