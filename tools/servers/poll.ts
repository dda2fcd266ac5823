// Asks again and again until something holds or a limit is reached.

import { setTimeout as delay } from 'node:timers/promises'

export interface PollOptions {
  readonly limitMs: number
  readonly everyMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Resolves to true as soon as the probe does, and to false when `limitMs` has passed. Probes at least once.
 * @throws the signal's reason when it is aborted.
 */
export async function pollUntil(
  probe: () => boolean | Promise<boolean>,
  options: PollOptions,
): Promise<boolean> {
  const deadlineMs = performance.now() + options.limitMs
  for (;;) {
    options.signal?.throwIfAborted()
    if (await probe()) return true
    if (performance.now() >= deadlineMs) return false
    await delay(options.everyMs)
  }
}
