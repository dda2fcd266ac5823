// Waits for what nobody announces, such as a metric of another process.

import { setTimeout as sleepMs } from 'node:timers/promises'

const INTERVAL_MS = 10
/** Only so that a test that can no longer succeed fails with a reason. */
const WAIT_MS_MAX = 60_000

/** Asks again and again until the answer is yes. @throws Error naming what did not happen. */
export async function eventually(
  what: string,
  ask: () => Promise<boolean>,
  { limitMs = WAIT_MS_MAX, intervalMs = INTERVAL_MS } = {},
): Promise<void> {
  const endMs = Date.now() + limitMs
  while (!(await ask())) {
    if (Date.now() > endMs) throw new Error(`It did not happen: ${what}.`)
    await sleepMs(intervalMs)
  }
}
