// Waits for the leaders of a topic that was created a moment ago.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs from 'kafkajs'

const LEADER_ATTEMPTS_MAX = 100
const LEADER_POLL_MS = 50

/** What `ask` gives, once the topic has leaders: kafkajs takes it for final that there is none yet. @throws as `ask` */
export async function onceLed<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === LEADER_ATTEMPTS_MAX || !hasNoLeaderYet(error)) throw error
      await sleepMs(LEADER_POLL_MS)
    }
  }
}

function hasNoLeaderYet(error: unknown): boolean {
  return (
    error instanceof kafkajs.KafkaJSProtocolError &&
    (error.type === 'NOT_LEADER_FOR_PARTITION' || error.type === 'LEADER_NOT_AVAILABLE')
  )
}
