// A real broker gives these answers only briefly: while its first group is being created, or one moves to another
// broker.

import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { sendOffsets } from '../../../../services/platform/kafka/transaction-offsets.ts'

const OFFSETS = [{ topic: 't', partition: 3, offset: 7, metadata: null }]

/** A transaction whose offsets are refused with these errors in turn, then accepted. */
function refusing(failures: readonly Error[]) {
  const asked: unknown[] = []
  return {
    asked,
    sendOffsets: (offsets: unknown): Promise<void> => {
      const failure = failures[asked.length]
      asked.push(offsets)
      return failure === undefined ? Promise.resolve() : Promise.reject(failure)
    },
  }
}

function refusal(type: string): Error {
  return Object.assign(new kafkajs.KafkaJSProtocolError(new Error(type)), { type })
}

test('offsets are said again while their coordinator is being made, loads or moves, and while the transaction before ends', async () => {
  const transaction = refusing([
    refusal('GROUP_COORDINATOR_NOT_AVAILABLE'),
    refusal('GROUP_LOAD_IN_PROGRESS'),
    refusal('NOT_COORDINATOR_FOR_GROUP'),
    refusal('CONCURRENT_TRANSACTIONS'),
  ])
  await sendOffsets(transaction, 'scorers', OFFSETS)
  strictEqual(transaction.asked.length, 5)
  deepStrictEqual(transaction.asked[4], {
    consumerGroupId: 'scorers',
    topics: [{ topic: 't', partitions: [{ partition: 3, offset: '7', metadata: '' }] }],
  })
})

test('any other answer comes through at once: an owner that was fenced is not let in by asking again', async () => {
  for (const failure of [refusal('INVALID_PRODUCER_EPOCH'), new Error('away')]) {
    const transaction = refusing([failure])
    await rejects(sendOffsets(transaction, 'scorers', OFFSETS), failure)
    strictEqual(transaction.asked.length, 1)
  }
})

test('a coordinator that does not come gives its answer after some attempts', async () => {
  const failure = refusal('NOT_COORDINATOR_FOR_GROUP')
  const transaction = refusing(Array.from({ length: 1_000 }, () => failure))
  await rejects(sendOffsets(transaction, 'scorers', OFFSETS), failure)
  strictEqual(transaction.asked.length, 100)
})
