// Goal: a reader that knows a schema only by its id asks the registry for it. Method: a bank's producer writes to a
// real topic with its own schema. The registry is the small local one of the unit tests.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import avro from 'avsc'
import kafkajs from 'kafkajs'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { createCodecs } from '../../services/core/wire/codecs.ts'
import {
  FRAME_HEADER_BYTES,
  frameSchemaId,
  writeFrameHeader,
} from '../../services/core/wire/codec.ts'
import { openSchemaRegistry } from '../../services/platform/registry/http-registry.ts'
import { fullTransaction, minimalTransaction, minimalWatermark } from '../unit/core/wire/samples.ts'
import { schemaOf } from '../unit/core/wire/wire-fixture.ts'
import { openLocalRegistry } from '../unit/platform/registry/local-registry.ts'

const BROKERS = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (BROKERS === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}

const FOREIGN_ID = 7_000

test('messages of three schemas on one topic are read by the ids of the registry', async (context) => {
  await using server = await openLocalRegistry()
  const kafka = new kafkajs.Kafka({
    clientId: 'registry-test',
    brokers: BROKERS.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const topicPrefix = `registry-test-${randomUUID()}-`
  const topic = `${topicPrefix}transactions`
  const admin = kafka.admin()
  await admin.connect()
  context.after(async () => {
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
  })
  await makeTopics(admin, [{ topic, numPartitions: 1 }])

  const settings = { url: server.url, topicPrefix }
  const writing = createCodecs(await openSchemaRegistry({ ...settings, register: true }).load())
  const schema = schemaOf('transaction') as { readonly fields: readonly unknown[] }
  const branch = { name: 'branch', type: 'string' }
  const foreign = { ...schema, fields: [branch, ...schema.fields] }
  server.schemas.set(FOREIGN_ID, { subject: 'bank-value', schema: JSON.stringify(foreign) })
  const body = avro.Type.forSchema(foreign as unknown as avro.Schema).toBuffer({
    branch: 'north',
    ...fullTransaction,
  })
  const framed = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), body])
  writeFrameHeader(framed, FOREIGN_ID)

  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  const sent = [
    writing.transaction.encode(minimalTransaction),
    writing.watermark.encode(minimalWatermark),
    framed,
  ]
  await producer.send({ topic, messages: sent.map((value) => ({ value })) })
  await producer.disconnect()

  const registry = openSchemaRegistry({ ...settings, register: false })
  const reading = createCodecs(await registry.load())
  const received: (Buffer | null)[] = []
  const consumer = kafka.consumer({ groupId: topic })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => {
      // It restarts by itself after a temporary error, such as a slow broker.
      if (!payload.restart) reject(payload.error)
    })
    void consumer.run({
      eachMessage: ({ message }) => {
        received.push(message.value)
        if (received.length === sent.length) resolve()
        return Promise.resolve()
      },
    })
  })
  await consumer.disconnect()
  await admin.deleteGroups([topic])

  const before = received.map((bytes) => reading.decodeTransactionMessage(bytes))
  assert.deepStrictEqual(before, [
    { kind: 'transaction', value: minimalTransaction },
    { kind: 'watermark', timeMs: minimalWatermark.timeMs },
    { kind: 'reject', reason: 'unknown_schema', field: null },
  ])
  const schemaId = frameSchemaId(received[2] ?? Buffer.alloc(0))
  assert.equal(schemaId, FOREIGN_ID)
  assert.equal(reading.learn(schemaId, await registry.fetchSchema(schemaId)), 'transaction')
  assert.deepStrictEqual(reading.decodeTransactionMessage(received[2] ?? null), {
    kind: 'transaction',
    value: fullTransaction,
  })
})
