// Goal: the messages of a partition and the offsets that they cover become visible together or not at all, and a new
// owner fences the earlier one before it reads the committed offsets. Method: real transactions, read committed.

import { randomBytes } from 'node:crypto'
import { deepStrictEqual, ok, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { isSluiceError } from '../../services/core/errors.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import {
  openPartitionTransactions,
  type PartitionTransactions,
} from '../../services/platform/kafka/partition-transactions.ts'
import type { InputOffset } from '../../services/platform/kafka/log-client.ts'
import { closeWith } from '../support/cleanup.ts'
import { readAtLeast, readUntil } from '../support/poll.ts'
import { openStream, type TestStream } from '../support/streams.ts'

const PARTITION = 1

async function openPartition(t: Parameters<typeof openStream>[0], stream: TestStream) {
  const partition = await openPartitionTransactions({
    kafka: stream.kafka,
    groupId: stream.groupId,
    transactionalId: `${stream.prefix}partition`,
  })
  closeWith(t, () => partition.close())
  return partition
}

function commit(
  partition: PartitionTransactions,
  stream: TestStream,
  text: string,
  offset: number,
) {
  const topic = `${stream.prefix}transactions`
  const offsets: InputOffset[] = [
    { topic, partition: PARTITION, offset, metadata: `after ${text}` },
  ]
  const messages = ['alerts', 'leases'].map((name) => ({
    topic: stream.prefix + name,
    messages: [{ key: 'c', value: text, partition: PARTITION }],
  }))
  return partition.commit(messages, offsets)
}

/** Waits for this many published messages: a commit is answered before its marker is written to every partition. */
function published(stream: TestStream, count: number): Promise<readonly string[]> {
  return readAtLeast(count, 'messages are published', () => readPublished(stream))
}

async function readPublished(stream: TestStream): Promise<readonly string[]> {
  const texts: string[] = []
  await readToEnd(
    {
      brokers: stream.brokers,
      name: 'sluice-test-partition',
      topics: [`${stream.prefix}alerts`, `${stream.prefix}leases`],
      startAt: 'beginning',
    },
    ({ topic, messages }) => {
      for (const { value } of messages) {
        texts.push(`${topic.slice(stream.prefix.length)} ${value?.toString() ?? ''}`)
      }
    },
  )
  return texts.sort()
}

/** Offset and metadata, once this offset is visibly committed. */
function committed({ admin, groupId, prefix }: TestStream, offset: string) {
  return readUntil(
    `${offset} is committed`,
    async () => {
      const [topic] = await admin.fetchOffsets({ groupId, topics: [`${prefix}transactions`] })
      const entry = topic?.partitions.find(({ partition }) => partition === PARTITION)
      return [entry?.offset, entry?.metadata]
    },
    ([seen]) => seen === offset,
  )
}

const isUnknown = (error: unknown): boolean => isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN')

test('a commit shows all messages, the offset and its metadata', async (t) => {
  const stream = await openStream(t, 'commit')
  const partition = await openPartition(t, stream)
  await commit(partition, stream, 'first', 3)
  await commit(partition, stream, 'second', 7)
  deepStrictEqual(await published(stream, 4), [
    'alerts first',
    'alerts second',
    'leases first',
    'leases second',
  ])
  deepStrictEqual(await committed(stream, '7'), ['7', 'after second'])
})

test('a commit does not look up its coordinator at every step', async (t) => {
  const stream = await openStream(t, 'asked')
  let asked = 0
  const kafka = new kafkajs.Kafka({
    brokers: [...stream.brokers],
    logLevel: kafkajs.logLevel.DEBUG,
    logCreator:
      () =>
      ({ log }) => {
        if (log.message.startsWith('Request GroupCoordinator')) asked += 1
      },
  })
  const { groupId, prefix } = stream
  const partition = await openPartitionTransactions({
    kafka,
    groupId,
    transactionalId: `${prefix}partition`,
  })
  closeWith(t, () => partition.close())
  asked = 0
  const commits = 20
  for (let offset = 1; offset <= commits; offset += 1)
    await commit(partition, stream, 'one', offset)
  // Without a cache kafkajs asks four times per commit; with one only the first commit asks, twice.
  ok(asked > 0 && asked < 3 * commits, `asked ${asked} times`)
})

test('a replaced owner commits nothing, even before the new owner has sent anything', async (t) => {
  const stream = await openStream(t, 'followed')
  const earlier = await openPartition(t, stream)
  await commit(earlier, stream, 'first', 3)
  const later = await openPartition(t, stream)
  // From here on the later owner may rely on the committed offsets.
  await rejects(commit(earlier, stream, 'too late', 7), isUnknown)
  deepStrictEqual(await committed(stream, '3'), ['3', 'after first'])
  await commit(later, stream, 'second', 5)
  await rejects(commit(earlier, stream, 'too late again', 9), isUnknown)
  deepStrictEqual(await published(stream, 4), [
    'alerts first',
    'alerts second',
    'leases first',
    'leases second',
  ])
})

test('a transaction with one refused message publishes nothing', async (t) => {
  const stream = await openStream(t, 'refused')
  const partition = await openPartition(t, stream)
  // Compressed too.
  const tooLarge = randomBytes(2_000_000)
  const topics = ['alerts', 'leases'].map((name, index) => ({
    topic: stream.prefix + name,
    messages: [{ key: 'c', value: index === 0 ? Buffer.from('small') : tooLarge, partition: 0 }],
  }))
  await rejects(partition.commit(topics, []), isUnknown)
  // A new owner ends the open transaction, as a partition does after any failure.
  const next = await openPartition(t, stream)
  await commit(next, stream, 'after', 1)
  deepStrictEqual(await published(stream, 2), ['alerts after', 'leases after'])
  deepStrictEqual(await committed(stream, '1'), ['1', 'after after'])
})
