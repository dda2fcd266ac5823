// Goal: a consumer finds the producer's messages in the right partition, in order, with watermarks that keep their
// promise and time stamps that are the intended send times. Method: real topics, deleted afterwards; every message in
// them is read and decoded.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaMessage } from 'kafkajs'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { isSluiceError } from '../../services/core/errors.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import {
  type Codecs,
  createCodecs,
  type LabelMessage,
  type TransactionMessage,
} from '../../services/core/wire/codecs.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { END_OF_STREAM_MS, runProducer } from '../../services/producer/index.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import type { ProducerOptions } from '../../services/producer/index.ts'

const PARTITIONS = 4

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (brokersText === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}
const brokers = brokersText.split(',')
const kafka = new Kafka({ clientId: 'produce-test', brokers, logLevel: logLevel.NOTHING })

async function openTopics(
  t: TestContext,
  partitions: Readonly<Record<'transactions' | 'labels', number>>,
): Promise<string> {
  const topicPrefix = `test-produce-${randomUUID()}.`
  const topics = (['transactions', 'labels'] as const).map((name) => topicPrefix + name)
  const admin = kafka.admin()
  await admin.connect()
  t.after(async () => {
    await admin.deleteTopics({ topics })
    await admin.disconnect()
  })
  const topicOf = (name: 'transactions' | 'labels') => ({
    topic: topicPrefix + name,
    numPartitions: partitions[name],
  })
  await makeTopics(admin, [topicOf('transactions'), topicOf('labels')])
  return topicPrefix
}

/** All messages of a topic, by partition. */
async function readTopic(topic: string): Promise<readonly (readonly KafkaMessage[])[]> {
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  let left = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const messages: KafkaMessage[][] = ends.map(() => [])
  const groupId = `read-${randomUUID()}`
  const consumer = kafka.consumer({ groupId })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      if (left === 0) resolve()
      consumer.on('consumer.crash', ({ payload }) => {
        // It restarts by itself after a temporary error, such as a slow broker.
        if (!payload.restart) reject(payload.error)
      })
      void consumer.run({
        eachBatch: ({ batch }) => {
          messages[batch.partition]?.push(...batch.messages)
          left -= batch.messages.length
          if (left === 0) resolve()
          return Promise.resolve()
        },
      })
    })
  } finally {
    await consumer.disconnect()
    await admin.deleteGroups([groupId]).catch(() => undefined)
    await admin.disconnect()
  }
  return messages
}

async function openCodecs(): Promise<Codecs> {
  return createCodecs(await new FileRegistry().load())
}

function toKafka(
  topicPrefix: string,
  codecs: Codecs,
  options: Pick<ProducerOptions, 'source'> & Partial<ProducerOptions>,
): ProducerOptions {
  return {
    target: { kind: 'kafka', kafka: { brokers, topicPrefix }, codecs },
    pace: { kind: 'flat_out' },
    watermarks: false,
    durationMs: null,
    ...options,
  }
}

test('a simulated stream arrives whole, in order, each card in its partition', async (t) => {
  const codecs = await openCodecs()
  const topicPrefix = await openTopics(t, { transactions: PARTITIONS, labels: PARTITIONS })
  const simulator = { seed: 5, transactionsMax: 5_000, genuineLabelShare: 0.1 }
  const summary = await runProducer(
    toKafka(topicPrefix, codecs, { source: { kind: 'simulate', events: simulate(simulator) } }),
    { clock: systemClock },
  )
  strictEqual(summary.transactions, 5_000)
  strictEqual(summary.acknowledged, summary.transactions + summary.labels)

  const events = [...simulate(simulator)]
  const partitionOfCard = (card: string): number => partitionOf(Buffer.from(card), PARTITIONS)
  const transactions = await readTopic(`${topicPrefix}transactions`)
  const labels = await readTopic(`${topicPrefix}labels`)
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const sentTransactions = events.flatMap((event) =>
      event.kind === 'transaction' && partitionOfCard(event.transaction.card) === partition
        ? [event.transaction]
        : [],
    )
    ok(sentTransactions.length > 500)
    deepStrictEqual(
      transactions[partition]?.map(({ value }) => codecs.decodeTransactionMessage(value)),
      sentTransactions.map((value): TransactionMessage => ({ kind: 'transaction', value })),
    )
    deepStrictEqual(
      transactions[partition]?.map(({ key }) => key?.toString()),
      sentTransactions.map(({ card }) => card),
    )
    deepStrictEqual(
      labels[partition]?.map(({ value }) => codecs.decodeLabelMessage(value)),
      events.flatMap((event): LabelMessage[] =>
        event.kind === 'label' && partitionOfCard(event.label.card) === partition
          ? [{ kind: 'label', value: event.label }]
          : [],
      ),
    )
  }
})

test('a replayed file arrives whole, with watermarks that keep their promise in every partition', async (t) => {
  const codecs = await openCodecs()
  const topicPrefix = await openTopics(t, { transactions: PARTITIONS, labels: PARTITIONS })
  const folder = mkdtempSync(join(tmpdir(), 'sluice-produce-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const startS = Date.UTC(2020, 0, 1) / 1_000
  const rows = Array.from(
    { length: 5_000 },
    (_, row) => `t${row},${startS + row * 20},c${row % 97},${row}.50,${row % 5 === 0 ? 1 : 0}`,
  )
  const file = join(folder, 'tx.csv')
  writeFileSync(file, `id,time,card,amount,is_fraud\n${rows.join('\n')}\n`)

  const replay = { paths: [file], labelDelayMs: 600_000 }
  const summary = await runProducer(
    toKafka(topicPrefix, codecs, { source: { kind: 'replay', replay }, watermarks: true }),
    { clock: systemClock },
  )
  deepStrictEqual([summary.transactions, summary.labels], [5_000, 1_000])
  ok(summary.watermarks >= 8)

  let transactionCount = 0
  const transactionWatermarks: number[][] = []
  for (const messages of await readTopic(`${topicPrefix}transactions`)) {
    const seen: number[] = []
    for (const { key, value } of messages) {
      const message = codecs.decodeTransactionMessage(value)
      ok(message.kind !== 'reject')
      if (message.kind === 'watermark') {
        strictEqual(key, null)
        seen.push(message.timeMs)
      } else {
        ok(message.value.eventTimeMs > (seen.at(-1) ?? 0))
        transactionCount += 1
      }
    }
    transactionWatermarks.push(seen)
  }
  strictEqual(transactionCount, 5_000)
  let labelCount = 0
  for (const [partition, messages] of (await readTopic(`${topicPrefix}labels`)).entries()) {
    const seen: number[] = []
    for (const { value } of messages) {
      const message = codecs.decodeLabelMessage(value)
      ok(message.kind !== 'reject')
      if (message.kind === 'watermark') seen.push(message.timeMs)
      else {
        ok(message.value.knownAtMs > (seen.at(-1) ?? 0))
        labelCount += 1
      }
    }
    deepStrictEqual(seen, transactionWatermarks[partition], 'the same watermarks on both topics')
    deepStrictEqual(seen, transactionWatermarks[0], 'and in every partition')
    strictEqual(seen.at(-1), END_OF_STREAM_MS)
  }
  strictEqual(labelCount, 1_000)
})

test('at a rate, the record time stamp is the intended send time', async (t) => {
  const codecs = await openCodecs()
  const topicPrefix = await openTopics(t, { transactions: 1, labels: 1 })
  const simulator = { transactionsMax: 400, genuineLabelShare: 0 }
  await runProducer(
    toKafka(topicPrefix, codecs, {
      source: { kind: 'simulate', events: simulate(simulator) },
      pace: { kind: 'rate', perSecond: 400 },
    }),
    { clock: systemClock },
  )
  const [messages = []] = await readTopic(`${topicPrefix}transactions`)
  const firstMs = Number(messages[0]?.timestamp)
  strictEqual(messages.length, 400)
  for (const [index, { timestamp }] of messages.entries()) {
    // Both ends are truncated to whole milliseconds.
    ok(Math.abs(Number(timestamp) - firstMs - index * 2.5) <= 1)
  }
})

test('a stopped run counts only acknowledged messages', async (t) => {
  const codecs = await openCodecs()
  const topicPrefix = await openTopics(t, { transactions: PARTITIONS, labels: PARTITIONS })
  const stop = new AbortController()
  const summary = await runProducer(
    toKafka(topicPrefix, codecs, { source: { kind: 'simulate', events: simulate({}) } }),
    {
      clock: systemClock,
      signal: stop.signal,
      onProgress: () => {
        stop.abort()
      },
    },
  )
  strictEqual(summary.end, 'signal')
  ok(summary.transactions > 0)
  strictEqual(summary.acknowledged, summary.transactions + summary.labels)
  const messages = await readTopic(`${topicPrefix}transactions`)
  strictEqual(messages.flat().length, summary.transactions)
})

test('missing topics, unequal partition counts and a silent broker are errors that say what to do', async (t) => {
  const codecs = await openCodecs()
  const source = { kind: 'simulate', events: simulate({ transactionsMax: 1 }) } as const
  const run = (options: ProducerOptions): Promise<unknown> =>
    runProducer(options, { clock: systemClock })
  await rejects(
    run(toKafka(`nothing-${randomUUID()}.`, codecs, { source })),
    (error) =>
      isSluiceError(error, 'SLUICE_TOPICS_INVALID') && error.message.includes('has no topic'),
  )
  const topicPrefix = await openTopics(t, { transactions: 2, labels: 3 })
  await rejects(
    run(toKafka(topicPrefix, codecs, { source })),
    (error) =>
      isSluiceError(error, 'SLUICE_TOPICS_INVALID') && error.message.includes('2 and 3 partitions'),
  )
  const target = {
    kind: 'kafka',
    kafka: { brokers: ['127.0.0.1:1'], topicPrefix },
    codecs,
  } as const
  await rejects(
    run(toKafka(topicPrefix, codecs, { source, target })),
    (error) =>
      isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING') && error.message.includes('127.0.0.1:1'),
  )
})
