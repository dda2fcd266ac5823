// Waits for a condition that is not announced, such as a metric of another process.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { inspect } from 'node:util'

const INTERVAL_MS = 10
/** A poll costs the other process time: a long wait has rarer ones. The answer is seen late by a tenth of the wait at most. */
const INTERVAL_MS_MAX = 50
const INTERVAL_SHARE = 0.1
/** Limit, so that a test that cannot succeed any more fails with a reason. */
const WAIT_MS_MAX = 60_000

interface PollOptions {
  readonly limitMs?: number
  readonly intervalMs?: number
  /**
   * Rejects when the condition can no longer be met; the polls end with its error. A race beside the polls would leave
   * them running to their limit, and the process with them.
   */
  readonly failed?: Promise<unknown>
}

/** Polls until the answer is yes. @throws Error naming the expectation, or the error of `failed`. */
export async function eventually(
  what: string,
  ask: () => Promise<boolean>,
  options: PollOptions = {},
): Promise<void> {
  await firstAnswer(what, async () => ((await ask()) ? true : null), options)
}

/** Polls until there is an answer, and returns it. @throws Error naming the expectation, or the error of `failed`. */
export async function firstAnswer<Answer>(
  what: string,
  ask: () => Promise<Answer | null>,
  { limitMs = WAIT_MS_MAX, intervalMs = INTERVAL_MS, failed }: PollOptions = {},
): Promise<Answer> {
  const beginMs = performance.now()
  // It may reject while an answer is awaited.
  failed?.catch(() => undefined)
  for (;;) {
    const answer = await ask()
    if (answer !== null) return answer
    const waitedMs = performance.now() - beginMs
    if (waitedMs > limitMs) throw new Error(`It did not happen: ${what}.`)
    const waitMs = Math.max(intervalMs, Math.min(waitedMs * INTERVAL_SHARE, INTERVAL_MS_MAX))
    await (failed === undefined ? sleepMs(waitMs) : Promise.race([sleepMs(waitMs), failed]))
  }
}

/**
 * Reads repeatedly until the result is sufficient, and returns it. Committed messages are not visible at once: a broker
 * lags behind its controller, and a transaction ends in one partition after the other. @throws Error with the last
 * result.
 */
export async function readUntil<Found>(
  what: string,
  read: () => Promise<Found>,
  isEnough: (found: Found) => boolean,
): Promise<Found> {
  let last: Found | undefined
  const look = async (): Promise<{ readonly found: Found } | null> => {
    last = await read()
    return isEnough(last) ? { found: last } : null
  }
  try {
    return (await firstAnswer(what, look)).found
  } catch (error) {
    throw new Error(`${what}? There is: ${inspect(last)}.`, { cause: error })
  }
}

/** `readUntil` for a list of at least this length. */
export function readAtLeast<Item>(
  countMin: number,
  what: string,
  read: () => Promise<readonly Item[]>,
): Promise<readonly Item[]> {
  return readUntil(`${countMin} ${what}`, read, ({ length }) => length >= countMin)
}
