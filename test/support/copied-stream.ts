// A stream copied message by message into topics of another prefix, with some of its messages changed, as an attacker
// with write access to Kafka could change them.

import type { TestContext } from 'node:test'
import type { KafkaMessage, Message } from 'kafkajs'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { createTopics, deleteTopics, topicName } from '../../services/platform/kafka/topics.ts'
import { closeWith } from './cleanup.ts'
import { PARTITION_COUNT, type TestStream } from './streams.ts'

const COPIED = ['transactions', 'labels', 'decisions', 'alerts', 'receipts'] as const
type Copied = (typeof COPIED)[number]

/** Returns the value to copy, or null to leave the message out. */
export type ChangeMessage = (
  topic: Copied,
  partition: number,
  value: Buffer,
  index: number,
) => Buffer | null

let copies = 0

/** Copies everything that is committed now. Inputs keep their offsets. Returns the prefix of the copy. */
export async function copyStream(
  t: TestContext,
  stream: TestStream,
  change: ChangeMessage = (_, __, value) => value,
): Promise<string> {
  copies += 1
  const prefix = `${stream.prefix}copy-${copies}.`
  const options = { partitionCount: PARTITION_COUNT, replicationFactor: 1 }
  await createTopics(stream.admin, prefix, options)
  const producer = stream.kafka.producer({ idempotent: true, allowAutoTopicCreation: false })
  await producer.connect()
  closeWith(t, async () => {
    await producer.disconnect()
    await deleteTopics(stream.admin, prefix)
  })
  for (const topic of COPIED) {
    const messages = await messagesOf(stream, topic)
    const copied = messages.flatMap(({ partition, messages: all }) =>
      all.flatMap((message, index): Message[] => {
        const value = change(topic, partition, message.value ?? Buffer.alloc(0), index)
        if (value === null) return []
        return [{ key: message.key, value, partition, timestamp: message.timestamp }]
      }),
    )
    for (let at = 0; at < copied.length; at += 500) {
      const part = copied.slice(at, at + 500)
      await producer.send({ topic: topicName(prefix, topic), messages: part })
    }
  }
  return prefix
}

async function messagesOf({ brokers, prefix }: TestStream, topic: Copied) {
  const byPartition = new Map<number, KafkaMessage[]>()
  await readToEnd(
    {
      brokers,
      name: 'sluice-test-copy',
      topics: [topicName(prefix, topic)],
      startAt: 'beginning',
    },
    ({ partition, messages }) => {
      const all = byPartition.get(partition) ?? []
      all.push(...messages)
      byPartition.set(partition, all)
    },
  )
  return [...byPartition].map(([partition, messages]) => ({ partition, messages }))
}
