// A limit on a rate: a bucket that fills with time and gives one token for each thing that is let through.

export interface TokenBucketOptions {
  /** Tokens that come in each second. */
  readonly perSecond: number
  /** Tokens that the bucket holds: how many may come at once. */
  readonly burst: number
}

/** Never lets through more than `burst + perSecond * t` things within any t seconds. */
export class TokenBucket {
  readonly #options: TokenBucketOptions
  #tokens: number
  #filledAtMs: number

  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#options = options
    this.#tokens = options.burst
    this.#filledAtMs = nowMs
  }

  /** Takes one token: 0 when there was one, else how long until there is, ms. `nowMs` is a monotonic clock's. */
  take(nowMs: number): number {
    const { perSecond, burst } = this.#options
    const addedTokens = (Math.max(0, nowMs - this.#filledAtMs) * perSecond) / 1_000
    this.#tokens = Math.min(burst, this.#tokens + addedTokens)
    this.#filledAtMs = Math.max(this.#filledAtMs, nowMs)
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return 0
    }
    // Less than a microsecond is what sums of fractions are off by.
    return Math.max(1, Math.ceil(((1 - this.#tokens) / perSecond) * 1_000 - 0.001))
  }
}
