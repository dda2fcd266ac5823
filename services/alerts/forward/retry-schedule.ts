// What an answer means, and when to try again: full jitter under a bound that doubles up to a cap.

/** How one attempt ended. */
export type AttemptResult =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly kind: 'timeout' | 'no_connection' }

/** What follows from it. */
export const VERDICTS = ['delivered', 'rejected', 'failed'] as const
export type Verdict = (typeof VERDICTS)[number]

export interface RetryLimits {
  readonly attemptsMax: number
  readonly firstDelayMs: number
  readonly delayMsMax: number
}

/** Refusals that pass: a time-out, too early, too many requests. */
const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 425, 429])

/** Any other answer below 500 would be the same the next time, a redirection included: we follow none. */
export function verdictOf(result: AttemptResult): Verdict {
  if (result.kind !== 'answered') return 'failed'
  const { status } = result
  if (status >= 200 && status < 300) return 'delivered'
  return status >= 500 || RETRIED_STATUS.has(status) ? 'failed' : 'rejected'
}

/**
 * How long to wait after `failures` failed attempts, at least 1. `share` is a random number from 0 to 1. What the
 * target asked for in Retry-After is kept to, up to the cap.
 */
export function delayMsAfter(
  failures: number,
  limits: RetryLimits,
  share: number,
  retryAfterMs: number | null,
): number {
  const { firstDelayMs, delayMsMax } = limits
  const boundMs = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures - 1, 30))
  return Math.min(delayMsMax, Math.max(Math.ceil(boundMs * share), retryAfterMs ?? 0))
}

/** The time that a Retry-After header asks for, in seconds or as a date; null when it says nothing usable. */
export function retryAfterMsOf(header: string | null, nowMs: number): number | null {
  if (header === null) return null
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000
  const atMs = /GMT$/.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}
