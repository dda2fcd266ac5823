// Waits for the leaders of a topic that was created a moment ago, or whose broker has just ended.

import { retry, type Patience } from './retry.ts'

const NO_LEADER_YET: Patience = {
  passing: new Set([
    'NOT_LEADER_FOR_PARTITION',
    'LEADER_NOT_AVAILABLE',
    // The leader cannot be reached. kafkajs has asked another broker for the leaders then; if none answers, its error is
    // another one.
    'KafkaJSConnectionError',
  ]),
  attemptsMax: 100,
  waitMs: () => 50,
}

/** Calls `ask` until the topic has leaders; kafkajs treats their absence as final. @throws as `ask` */
export function waitForLeader<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  return retry(NO_LEADER_YET, ask)
}
