// Faults that the demo can make on itself, each with the alert that it must raise.

import type { Producer } from 'kafkajs'
import { topicName } from '../../../services/platform/kafka/topics.ts'
import type { RestartableScorer } from '../restartable-scorer.ts'
import type { RedisGate } from './redis-gate.ts'

export const FAULTS = ['redis-away', 'scorer-stopped', 'dead-letters'] as const
export type FaultName = (typeof FAULTS)[number]

/** A fault that can be made and mended. */
export interface Fault {
  readonly name: FaultName
  /** As people read it: "Redis is away". */
  readonly sentence: string
  /** Name of the alert rule that must fire. */
  readonly alert: string
  /** Resolves to the number of messages that it has added to the transactions. */
  make(): Promise<number>
  mend(): Promise<void>
}

/** What faults are made with. */
export interface FaultTools {
  readonly scorer: RestartableScorer
  /** There when the fault is `redis-away`. */
  readonly gate: RedisGate | null
  readonly producer: Producer
  readonly topicPrefix: string
}

const BROKEN_MESSAGES = 3

/** The fault of this name. */
export function faultOf(name: FaultName, tools: FaultTools): Fault {
  switch (name) {
    case 'redis-away':
      return {
        name,
        sentence: 'Redis is away: the scorer cannot read or write state',
        alert: 'SluiceRedisAway',
        make: () => {
          tools.gate?.shut()
          return Promise.resolve(0)
        },
        mend: () => {
          tools.gate?.open()
          return Promise.resolve()
        },
      }
    case 'scorer-stopped':
      return {
        name,
        sentence: 'the scorer is stopped',
        alert: 'SluiceNoScorer',
        make: async () => {
          await tools.scorer.halt()
          return 0
        },
        mend: () => tools.scorer.resume(),
      }
    case 'dead-letters':
      return {
        name,
        sentence: `${BROKEN_MESSAGES} messages that nobody can decode are sent`,
        alert: 'SluiceDeadLetters',
        make: async () => {
          const messages = Array.from({ length: BROKEN_MESSAGES }, (_, index) => ({
            key: `broken-${index}`,
            value: 'this is no transaction',
          }))
          await tools.producer.send({
            topic: topicName(tools.topicPrefix, 'transactions'),
            messages,
          })
          return BROKEN_MESSAGES
        },
        // What is in the log stays there; the alert clears when no more come.
        mend: () => Promise.resolve(),
      }
  }
}
