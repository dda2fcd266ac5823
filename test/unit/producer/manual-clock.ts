// A clock advanced by tests.

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
