// Batches compressed by real clients, read through a real broker: Java's codecs (the broker recompresses when a topic
// asks for it) and librdkafka's (kcat, where it is installed).

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import kafkajs from 'kafkajs'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import {
  COMPRESSIONS,
  registerCompressionCodecs,
  type BatchCodec,
  type Compression,
} from '../../services/platform/kafka/compression.ts'

const BROKERS = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (BROKERS === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}
const KCAT = 'kcat'
const MESSAGE_COUNT = 2_000
const TYPES = kafkajs.CompressionTypes
const TYPE_OF: Readonly<Record<Compression, number>> = {
  gzip: TYPES.GZIP,
  snappy: TYPES.Snappy,
  lz4: TYPES.LZ4,
  zstd: TYPES.ZSTD,
}
const MESSAGES = Array.from(
  { length: MESSAGE_COUNT },
  (_, index) => `transaction ${index} of card-${(index * 7_919) % 101} for ${index % 977} EUR`,
)

/** Runs kcat with `input`; resolves with its exit code, or null when there is no kcat. */
function runKcat(args: readonly string[], input: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(KCAT, args, { stdio: ['pipe', 'ignore', 'inherit'] })
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(null)
      else reject(error)
    })
    child.on('close', (code) => {
      resolve(code ?? -1)
    })
    // Without kcat the pipe breaks; the error above reports that.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

describe('compressed batches of a real broker', () => {
  const kafka = new kafkajs.Kafka({
    clientId: 'compression-test',
    brokers: BROKERS.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const admin = kafka.admin()
  const topics: string[] = []
  const expandedCounts = new Map<Compression, number>()

  before(async () => {
    registerCompressionCodecs()
    const registered: Record<number, () => BatchCodec> = kafkajs.CompressionCodecs
    for (const compression of COMPRESSIONS) countExpansions(registered, compression)
    await admin.connect()
  })
  after(async () => {
    if (topics.length > 0) await admin.deleteTopics({ topics })
    await admin.disconnect()
  })

  for (const compression of COMPRESSIONS) {
    test(`written by Java with ${compression} are read`, async () => {
      const topic = await createTopic(compression, compression)
      const producer = kafka.producer({
        createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      })
      await producer.connect()
      await producer.send({ topic, messages: MESSAGES.map((value) => ({ value })) })
      await producer.disconnect()
      await assertRead(topic, compression)
    })

    test(`written by librdkafka with ${compression} are read`, async (context) => {
      const topic = await createTopic(compression, 'producer')
      const args = ['-P', '-b', BROKERS, '-t', topic, '-z', compression]
      const code = await runKcat(args, `${MESSAGES.join('\n')}\n`)
      if (code === null) {
        context.skip('kcat is not installed; install it to check what librdkafka writes')
        return
      }
      assert.equal(code, 0)
      await assertRead(topic, compression)
    })
  }

  async function createTopic(compression: Compression, kept: string): Promise<string> {
    const topic = `compression-test-${compression}-${randomUUID()}`
    topics.push(topic)
    const configEntries = [{ name: 'compression.type', value: kept }]
    await makeTopics(admin, [{ topic, numPartitions: 1, replicationFactor: 1, configEntries }])
    return topic
  }

  function countExpansions(
    registered: Record<number, () => BatchCodec>,
    compression: Compression,
  ): void {
    const codec = registered[TYPE_OF[compression]]?.()
    assert.ok(codec !== undefined)
    registered[TYPE_OF[compression]] = () => ({
      compress: (encoder) => codec.compress(encoder),
      decompress: (bytes) => {
        expandedCounts.set(compression, (expandedCounts.get(compression) ?? 0) + 1)
        return codec.decompress(bytes)
      },
    })
  }

  async function assertRead(topic: string, compression: Compression): Promise<void> {
    expandedCounts.clear()
    const consumer = kafka.consumer({ groupId: topic })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const values: string[] = []
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => {
        // It restarts by itself after a temporary error, such as a slow broker.
        if (!payload.restart) reject(payload.error)
      })
      void consumer.run({
        eachMessage: ({ message }) => {
          values.push(message.value?.toString() ?? '')
          if (values.length === MESSAGE_COUNT) resolve()
          return Promise.resolve()
        },
      })
    })
    await consumer.disconnect()
    await admin.deleteGroups([topic])
    assert.deepEqual(values, MESSAGES)
    // The messages came from compressed batches, and from this compression only.
    assert.deepEqual([...expandedCounts.keys()], [compression])
  }
})
