// Offsets that a transaction commits along with its messages. kafkajs says them once: where offsets are the first that a
// transaction holds it does not wait for the end of the one before, and the answers of a coordinator that is being made,
// loads its group or has moved stand in its list of those to repeat under names that no broker's error has.
//
// To say them again is safe, whether the broker has taken them or not: producer, epoch, transaction and offsets are the same,
// so that both requests leave what they left before. The transaction stays open, and each attempt begins with the request
// that a producer is refused which another one has followed.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs, { type Transaction } from 'kafkajs'

/** An offset to commit with the batch. */
export interface InputOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string | null
}

/** Answers that only ask for patience. */
const PASSING: ReadonlySet<string> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'NOT_COORDINATOR_FOR_GROUP',
])
const FIRST_WAIT_MS = 5
const WAIT_MS_MAX = 50
/** Some 4.8 s in all: a coordinator that moves is found within one or two seconds. */
const ATTEMPTS_MAX = 100

/** Adds the offsets to the transaction, which stays open. @throws what the broker answers, once it is no passing answer */
export async function sendOffsets(
  transaction: Pick<Transaction, 'sendOffsets'>,
  groupId: string,
  offsets: readonly InputOffset[],
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // After a moment an attempt finds a coordinator that has moved (remembered-coordinators.ts).
      await transaction.sendOffsets({ consumerGroupId: groupId, topics: byTopic(offsets) })
      return
    } catch (error) {
      const isPassing = error instanceof kafkajs.KafkaJSProtocolError && PASSING.has(error.type)
      if (!isPassing || attempt === ATTEMPTS_MAX) throw error
      await sleepMs(Math.min(FIRST_WAIT_MS * attempt, WAIT_MS_MAX))
    }
  }
}

function byTopic(offsets: readonly InputOffset[]) {
  return offsets.map(({ topic, partition, offset, metadata }) => ({
    topic,
    // kafkajs passes metadata on to the broker; its types leave it out.
    partitions: [{ partition, offset: String(offset), metadata: metadata ?? '' }],
  }))
}
