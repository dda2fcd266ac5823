// Reads one topic from its beginning, all partitions, in a group of its own that is deleted afterwards.

import { randomUUID } from 'node:crypto'
import type { Kafka, KafkaMessage } from 'kafkajs'
import type { Closable } from '../../services/platform/lifecycle.ts'

const FETCH_WAIT_MS = 100
const PARTITIONS_CONCURRENT = 4

export interface TopicReader extends Closable {
  /** Never resolves; rejects when the reader has crashed, or `onMessages` has thrown. */
  readonly failed: Promise<never>
}

/**
 * Resolves once the reader has its partitions. Only committed messages are handed over, one call at a time for
 * each partition, with the time at which they arrived here.
 */
export async function openTopicReader(
  kafka: Kafka,
  topic: string,
  onMessages: (partition: number, messages: readonly KafkaMessage[], arrivedMs: number) => void,
): Promise<TopicReader> {
  const groupId = `sluice-bench-reader-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    readUncommitted: false,
    allowAutoTopicCreation: false,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let reject: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, onReject) => {
    reject = onReject
  })
  // Whoever waits for it sees the rejection; nobody need.
  failed.catch(() => undefined)
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) reject(payload.error)
  })
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      resolve()
    })
  })
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: PARTITIONS_CONCURRENT,
    eachBatch: ({ batch }) => {
      const arrivedMs = performance.timeOrigin + performance.now()
      try {
        onMessages(batch.partition, batch.messages, arrivedMs)
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
      return Promise.resolve()
    },
  })
  await Promise.race([joined, failed])
  return {
    failed,
    close: async () => {
      await consumer.disconnect()
      const admin = kafka.admin()
      await admin.connect()
      await admin.deleteGroups([groupId]).catch(() => undefined)
      await admin.disconnect()
    },
  }
}
