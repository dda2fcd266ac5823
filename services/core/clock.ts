/** Time in core: passed in as an argument, so that tests control it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number
  /** Monotonic clock, milliseconds from an arbitrary start; for elapsed time. */
  monotonicMs(): number
}
