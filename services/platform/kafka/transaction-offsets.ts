// Offsets that a transaction commits along with its messages. kafkajs says them once: where offsets are the first that a
// transaction holds it does not wait for the end of the one before, and the answers of a coordinator that is being made,
// loads its group or has moved stand in its list of those to repeat under names that no broker's error has.
//
// To say them again is safe, whether the broker has taken them or not: producer, epoch, transaction and offsets are the same,
// so that both requests leave what they left before. The transaction stays open, and each attempt begins with the request
// that a producer is refused which another one has followed.

import type { Transaction } from 'kafkajs'
import type { InputOffset } from './log-client.ts'
import { retry, type Patience } from './retry.ts'

/** Some 4.8 s in all: a coordinator that moves is found within one or two seconds. */
const NOT_READY_YET: Patience = {
  passing: new Set([
    'CONCURRENT_TRANSACTIONS',
    'GROUP_COORDINATOR_NOT_AVAILABLE',
    'GROUP_LOAD_IN_PROGRESS',
    'NOT_COORDINATOR_FOR_GROUP',
  ]),
  attemptsMax: 100,
  waitMs: (attempt) => Math.min(5 * attempt, 50),
}

/** Adds the offsets to the transaction, which stays open. @throws what the broker answers, once it is no passing answer */
export function sendOffsets(
  transaction: Pick<Transaction, 'sendOffsets'>,
  groupId: string,
  offsets: readonly InputOffset[],
): Promise<void> {
  const topics = byTopic(offsets)
  // After a moment an attempt finds a coordinator that has moved (remembered-coordinators.ts).
  return retry(NOT_READY_YET, () => transaction.sendOffsets({ consumerGroupId: groupId, topics }))
}

function byTopic(offsets: readonly InputOffset[]) {
  return offsets.map(({ topic, partition, offset, metadata }) => ({
    topic,
    // kafkajs passes metadata on to the broker; its types leave it out.
    partitions: [{ partition, offset: String(offset), metadata: metadata ?? '' }],
  }))
}
