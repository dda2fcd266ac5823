// A clock that tests move by hand.

import type { Clock } from '../../../services/core/clock.ts'

export class ManualClock implements Clock {
  #ms: number

  constructor(startMs: number) {
    this.#ms = startMs
  }

  nowMs(): number {
    return this.#ms
  }

  monotonicMs(): number {
    return this.#ms
  }

  advanceMs(ms: number): void {
    this.#ms += ms
  }
}
