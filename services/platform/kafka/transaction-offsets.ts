// Sends the offsets that a transaction commits along with its messages, with retries. kafkajs sends them once. When
// offsets are the first content of a transaction, it does not wait for the end of the previous one; and its list of
// retriable answers names those of a coordinator that is starting, loading or has moved by names that no broker error
// has.
//
// Repeating is safe whether or not the broker has accepted the offsets: producer, epoch, transaction and offsets are
// the same, so both requests have the same effect. The transaction stays open, and each attempt begins with a request
// that a fenced producer is refused.

import type { Transaction } from 'kafkajs'
import type { InputOffset } from './log-client.ts'
import { retry, type Patience } from './retry.ts'

/** About 4.8 s in all: a coordinator that moves is found within one or two seconds. */
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

/**
 * Adds the offsets to the transaction, which stays open. @throws the broker's error when it is not a passing one, or
 * after the last attempt
 */
export function sendOffsets(
  transaction: Pick<Transaction, 'sendOffsets'>,
  groupId: string,
  offsets: readonly InputOffset[],
): Promise<void> {
  const topics = byTopic(offsets)
  // A later attempt finds a coordinator that has moved (remembered-coordinators.ts).
  return retry(NOT_READY_YET, () => transaction.sendOffsets({ consumerGroupId: groupId, topics }))
}

function byTopic(offsets: readonly InputOffset[]) {
  return offsets.map(({ topic, partition, offset, metadata }) => ({
    topic,
    // kafkajs passes metadata to the broker, although its types omit it.
    partitions: [{ partition, offset: String(offset), metadata: metadata ?? '' }],
  }))
}
