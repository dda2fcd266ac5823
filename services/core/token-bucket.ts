// A rate limit: a bucket that fills with time and gives one token per admitted call.

export interface TokenBucketOptions {
  /** Tokens added per second. */
  readonly perSecond: number
  /** Capacity of the bucket, which is the largest burst. */
  readonly burst: number
}

/** Never admits more than `burst + perSecond * t` calls within any t seconds. */
export class TokenBucket {
  readonly #options: TokenBucketOptions
  #tokens: number
  #filledAtMs: number

  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#options = options
    this.#tokens = options.burst
    this.#filledAtMs = nowMs
  }

  /** Takes one token. Returns 0, or the time until there is a token, ms. `nowMs` is from a monotonic clock. */
  take(nowMs: number): number {
    const { perSecond, burst } = this.#options
    const addedTokens = (Math.max(0, nowMs - this.#filledAtMs) * perSecond) / 1_000
    this.#tokens = Math.min(burst, this.#tokens + addedTokens)
    this.#filledAtMs = Math.max(this.#filledAtMs, nowMs)
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return 0
    }
    // Tolerates a microsecond, since sums of fractions are inexact.
    return Math.max(1, Math.ceil(((1 - this.#tokens) / perSecond) * 1_000 - 0.001))
  }
}
