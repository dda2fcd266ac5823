// Reads the log of one partition outside the consumer group: ranges of both topics.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs'
import { coordinatorRefusal } from './coordinator-refusal.ts'
import type { LogRange } from './log-client.ts'
import { singlePartitionAssigner } from './partition-assigner.ts'

/** Interval of heartbeats while messages are processed or wait for another reader. */
const HEARTBEAT_INTERVAL_MS = 3_000

/** Longest wait for a reader that is abandoned while it joins its group. */
const JOIN_MS_MAX = 2_000

/** A range of one topic, in the partition that is read. */
export type LogStretch = Omit<LogRange, 'partition'>

interface LogReader {
  /** Name of the reader's own group, which is deleted afterwards. */
  readonly groupId: string
  readonly partition: number
  readonly stretches: readonly LogStretch[]
}

/**
 * Calls `onMessages` with the messages of the ranges in offset order within each topic, one call at a time, and
 * resolves after the last. Its own consumer group is deleted afterwards. Rejects when aborted.
 */
export async function readPartitionLog(
  kafka: Kafka,
  { groupId, partition, stretches }: LogReader,
  onMessages: (topic: string, messages: readonly KafkaMessage[]) => Promise<void>,
  signal: AbortSignal | null = null,
): Promise<void> {
  const wanted = new Map(
    stretches.filter(({ from, to }) => from < to).map((stretch) => [stretch.topic, stretch]),
  )
  if (wanted.size === 0) return
  const topics = [...wanted.keys()]
  const consumer = openConsumer(kafka, groupId, topics, partition)
  let joined: Promise<void> = Promise.resolve()
  await consumer.connect()
  try {
    await consumer.subscribe({ topics, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      onAbort(signal, reject)
      const finish = (topic: string): void => {
        wanted.delete(topic)
        if (wanted.size === 0) resolve()
      }
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        reject(coordinatorRefusal(kafka, payload.error) ?? payload.error)
      })
      // Also emitted for batches that hold only control records, which the handler never sees.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
        const stretch = wanted.get(payload.topic)
        if (stretch !== undefined && Number(payload.lastOffset) + 1 >= stretch.to) {
          finish(payload.topic)
        }
      })
      joined = consumer
        .run({
          autoCommit: false,
          eachBatch: async (payload) => {
            const { batch } = payload
            const stretch = wanted.get(batch.topic)
            if (stretch === undefined || payload.isStale()) return
            const inside = batch.messages.filter(
              ({ offset }) => Number(offset) >= stretch.from && Number(offset) < stretch.to,
            )
            try {
              await beating(payload, () => onMessages(batch.topic, inside))
              await payload.heartbeat()
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)))
              // Rethrown, it would end the consumer without telling the group, which would then wait for it.
              wanted.clear()
            }
          },
        })
        .then(() => {
          for (const { topic, from } of wanted.values()) {
            consumer.seek({ topic, partition, offset: String(from) })
          }
        })
        // Also reached when the consumer has crashed by then and cannot seek.
        .catch(reject)
    })
  } finally {
    // A consumer that leaves while it joins stays a member that the group waits for.
    await Promise.race([joined, sleepMs(JOIN_MS_MAX, undefined, { ref: false })])
    await consumer.disconnect()
    const admin = kafka.admin()
    await admin.connect()
    await admin.deleteGroups([groupId]).catch(() => undefined)
    await admin.disconnect()
  }
}

function openConsumer(
  kafka: Kafka,
  groupId: string,
  topics: readonly string[],
  partition: number,
): Consumer {
  return kafka.consumer({
    groupId,
    partitionAssigners: [singlePartitionAssigner([...topics], partition)],
    maxWaitTimeInMs: 100,
    allowAutoTopicCreation: false,
  })
}

/** Sends heartbeats while the work runs. */
async function beating(payload: EachBatchPayload, work: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => {
    // The heartbeat after the work reports the error.
    void payload.heartbeat().catch(() => undefined)
  }, HEARTBEAT_INTERVAL_MS)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
}

function onAbort(signal: AbortSignal | null, reject: (error: Error) => void): void {
  const abort = (): void => {
    reject(new Error('The reading of the log was given up.'))
  }
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort, { once: true })
}
