// Waits for the leaders of a topic that was created a moment ago.

import { retry, type Patience } from './retry.ts'

const NO_LEADER_YET: Patience = {
  passing: new Set(['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE']),
  attemptsMax: 100,
  waitMs: () => 50,
}

/** Calls `ask` until the topic has leaders; kafkajs treats their absence as final. @throws as `ask` */
export function waitForLeader<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  return retry(NO_LEADER_YET, ask)
}
