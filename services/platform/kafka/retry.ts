// Repeats requests after passing errors that kafkajs treats as final.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs from 'kafkajs'

/** The errors to retry, the number of attempts, and the delays. */
export interface Patience {
  /** Types of a broker's errors and names of the client's, as kafkajs has them. */
  readonly passing: ReadonlySet<string>
  readonly attemptsMax: number
  /** Delay after this attempt; the first attempt is 1. */
  readonly waitMs: (attempt: number) => number
}

/** Calls `ask` until it succeeds. @throws any other error of `ask`, or its passing error after the last attempt */
export async function retry<Answer>(
  { passing, attemptsMax, waitMs }: Patience,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!passing.has(kindOf(error)) || attempt === attemptsMax) throw error
      await sleepMs(waitMs(attempt))
    }
  }
}

function kindOf(error: unknown): string {
  if (error instanceof kafkajs.KafkaJSProtocolError) return error.type
  return error instanceof kafkajs.KafkaJSError ? error.name : ''
}
