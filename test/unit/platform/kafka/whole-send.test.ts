// Goal: partitions that kafkajs leaves out of a send are sent again, and nothing else is. Method: a sender that answers
// as kafkajs does when a partition has moved to a broker that had already answered; test/integrity/broker-kills.test.ts
// has a real one.

import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { ProducerBatch, RecordMetadata } from 'kafkajs'
import {
  rememberingPartitioner,
  sendWhole,
} from '../../../../services/platform/kafka/whole-send.ts'

const PARTITIONS = 4
const partitionMetadata = Array.from({ length: PARTITIONS }, (_, partitionId) => ({
  partitionErrorCode: 0,
  partitionId,
  leader: 1,
  replicas: [1],
  isr: [1],
}))

/** Leaves out the partitions of `leftOut` for each send, in turn. */
function senderOf(leftOut: readonly (readonly number[])[]) {
  const partitionOf = rememberingPartitioner()
  const sent: string[][] = []
  return {
    sent,
    sendBatch: ({ topicMessages = [] }: ProducerBatch): Promise<RecordMetadata[]> => {
      const without = leftOut[sent.length] ?? []
      const answers = new Map<string, RecordMetadata>()
      const taken: string[] = []
      for (const { topic, messages } of topicMessages) {
        for (const message of messages) {
          const partition = partitionOf({ topic, partitionMetadata, message })
          taken.push(`${topic}/${partition} ${String(message.value)}`)
          if (without.includes(partition)) continue
          answers.set(`${topic}/${partition}`, { topicName: topic, partition, errorCode: 0 })
        }
      }
      sent.push(taken)
      return Promise.resolve([...answers.values()])
    },
  }
}

const BATCH = [
  { topic: 'labels', messages: [{ partition: 0, value: 'a' }] },
  {
    topic: 'transactions',
    messages: [
      { partition: 0, value: 'b' },
      { partition: 3, value: 'c' },
      { partition: 3, value: 'd' },
    ],
  },
]

test('a send that reaches every partition is sent once', async () => {
  const sender = senderOf([])
  const answers = await sendWhole(sender, BATCH)
  strictEqual(sender.sent.length, 1)
  deepStrictEqual(
    answers.map(({ topicName, partition }) => `${topicName}/${partition}`),
    ['labels/0', 'transactions/0', 'transactions/3'],
  )
})

test('partitions that were left out are sent again, in their order, and no others', async () => {
  const sender = senderOf([[3], [3]])
  const answers = await sendWhole(sender, BATCH)
  deepStrictEqual(sender.sent.slice(1), [
    ['transactions/3 c', 'transactions/3 d'],
    ['transactions/3 c', 'transactions/3 d'],
  ])
  strictEqual(answers.length, 3)
})

test('a message without a partition is sent again where its key belongs', async () => {
  const messages = ['x', 'y', 'z'].map((key) => ({ key, value: key }))
  const all = senderOf([])
  await sendWhole(all, [{ topic: 'alerts', messages }])
  const [placed = []] = all.sent
  const partition = Number(/\/(\d)/.exec(placed[0] ?? '')?.[1])
  const sender = senderOf([[partition]])
  await sendWhole(sender, [{ topic: 'alerts', messages }])
  deepStrictEqual(
    sender.sent[1],
    placed.filter((each) => each.startsWith(`alerts/${partition} `)),
  )
})

test('what is left out again and again is an error that names the topic', async () => {
  const sender = senderOf(Array.from({ length: 9 }, () => [0]))
  await rejects(sendWhole(sender, BATCH), /labels, transactions changed their leaders/)
  strictEqual(sender.sent.length, 5)
})
