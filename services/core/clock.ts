/** Time as core sees it: handed in, so that tests move it by hand. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number
  /** Monotonic clock, milliseconds from an arbitrary start; for elapsed time. */
  monotonicMs(): number
}
