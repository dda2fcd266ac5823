// Answers of brokers that only ask for patience, where kafkajs takes them for final.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs from 'kafkajs'

/** What is asked for again, how often and after which time. */
export interface Patience {
  /** Types of errors, as kafkajs names them. */
  readonly passing: ReadonlySet<string>
  readonly attemptsMax: number
  /** Wait after this attempt, the first being 1. */
  readonly waitMs: (attempt: number) => number
}

/** What `ask` gives, once the answer is no passing one. @throws as `ask`, at the last with a passing answer */
export async function retry<Answer>(
  { passing, attemptsMax, waitMs }: Patience,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      const isPassing = error instanceof kafkajs.KafkaJSProtocolError && passing.has(error.type)
      if (!isPassing || attempt === attemptsMax) throw error
      await sleepMs(waitMs(attempt))
    }
  }
}
