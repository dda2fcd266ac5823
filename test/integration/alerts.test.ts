// Goal: a committed reader receives each committed message once, in order, up to the end, and nothing else; the alerts
// subscriber delivers every alert and continues after messages it cannot read.
// Method: real topics with real Kafka transactions, committed and aborted, so that control records are among them.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import kafkajs from 'kafkajs'
import type { Message } from 'kafkajs'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { createAlertsTelemetry, tailAlerts } from '../../services/alerts/index.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { follow, readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { readAtLeast } from '../support/poll.ts'
import { fullAlert, minimalTransaction } from '../unit/core/wire/samples.ts'
import { codecs } from '../unit/core/wire/wire-fixture.ts'

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (brokersText === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}
const brokers = brokersText.split(',')
const kafka = new kafkajs.Kafka({
  clientId: 'alerts-test',
  brokers,
  logLevel: kafkajs.logLevel.NOTHING,
})

interface Topic {
  readonly prefix: string
  readonly name: string
  send(outcome: 'commit' | 'abort', messages: readonly Message[]): Promise<void>
}

async function makeTopic(t: TestContext, numPartitions: number): Promise<Topic> {
  const prefix = `test-alerts-${randomUUID()}.`
  const name = `${prefix}alerts`
  const admin = kafka.admin()
  await admin.connect()
  await makeTopics(admin, [{ topic: name, numPartitions }])
  const producer = kafka.producer({
    transactionalId: prefix,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 5, retries: 20 },
  })
  await producer.connect()
  t.after(async () => {
    await producer.disconnect()
    await admin.deleteTopics({ topics: [name] })
    await admin.disconnect()
  })
  return {
    prefix,
    name,
    async send(outcome, messages) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: name, messages: [...messages] })
      await (outcome === 'commit' ? transaction.commit() : transaction.abort())
    },
  }
}

function reader(topic: Topic, startAt: 'beginning' | 'now') {
  return { brokers, name: `test-reader-${topic.prefix}`, topics: [topic.name], startAt }
}

/** Waits for this many messages: a commit is answered before its marker is written to every partition. */
function readAll(topic: Topic, count: number): Promise<readonly string[]> {
  return readAtLeast(count, 'messages are committed', () => readOnce(topic))
}

async function readOnce(topic: Topic): Promise<readonly string[]> {
  const seen: string[] = []
  await readToEnd(reader(topic, 'beginning'), ({ messages }) => {
    for (const { value } of messages) seen.push(String(value))
  })
  return seen
}

test('reading to the end gives committed messages once and in order, and no aborted ones', async (t) => {
  const topic = await makeTopic(t, 1)
  await topic.send('commit', [{ value: 'a' }, { value: 'b' }])
  await topic.send('abort', [{ value: 'never' }])
  await topic.send('commit', [{ value: 'c' }])
  deepStrictEqual(await readAll(topic, 3), ['a', 'b', 'c'])
})

test('reading reaches the end when only aborted messages and control records remain', async (t) => {
  const topic = await makeTopic(t, 3)
  await topic.send('commit', [{ value: 'a', partition: 0 }])
  for (let round = 0; round < 5; round += 1) {
    await topic.send('abort', [
      { value: 'never', partition: 0 },
      { value: 'never', partition: 1 },
    ])
  }
  deepStrictEqual(await readAll(topic, 1), ['a'])
})

test('an empty topic is read at once, and a missing one is named in the error', async (t) => {
  const topic = await makeTopic(t, 2)
  deepStrictEqual(await readAll(topic, 0), [])
  const absent = { ...reader(topic, 'beginning'), topics: ['test-no-such-topic'] }
  await rejects(
    readToEnd(absent, () => undefined),
    { code: 'SLUICE_TOPICS_INVALID', message: /test-no-such-topic/ },
  )
})

test('an error of the handler ends the reading with that error', async (t) => {
  const topic = await makeTopic(t, 1)
  await topic.send('commit', [{ value: 'a' }])
  await topic.send('commit', [{ value: 'b' }])
  await readAll(topic, 2)
  let calls = 0
  await rejects(
    readToEnd(reader(topic, 'beginning'), () => {
      calls += 1
      throw new Error('handler has had enough')
    }),
    /handler has had enough/,
  )
  strictEqual(calls, 1)
})

test('following from now skips existing messages and misses no new one', async (t) => {
  const topic = await makeTopic(t, 2)
  await topic.send('commit', [{ value: 'before' }])
  // Until its marker is written, it lies behind the end that a read-committed consumer sees now.
  await readAll(topic, 1)
  const stop = new AbortController()
  const seen: string[] = []
  await follow(
    reader(topic, 'now'),
    ({ messages }) => {
      for (const { value } of messages) seen.push(String(value))
      if (seen.length === 3) stop.abort()
    },
    stop.signal,
    () => {
      // The reader's position is fixed here, long before it fetches.
      void topic
        .send('commit', [{ value: 'x', partition: 0 }])
        .then(() => topic.send('abort', [{ value: 'never', partition: 0 }]))
        .then(() => topic.send('commit', [{ value: 'y', partition: 0 }]))
        .then(() => topic.send('commit', [{ value: 'z', partition: 0 }]))
    },
  )
  deepStrictEqual(seen, ['x', 'y', 'z'])
})

test('a reader leaves no group behind', async (t) => {
  const topic = await makeTopic(t, 1)
  await topic.send('commit', [{ value: 'a' }])
  await readAll(topic, 1)
  const admin = kafka.admin()
  await admin.connect()
  const { groups } = await admin.listGroups()
  await admin.disconnect()
  ok(!groups.some(({ groupId }) => groupId.startsWith(`test-reader-${topic.prefix}`)))
})

test('the subscriber delivers every alert, and counts and skips other messages', async (t) => {
  const topic = await makeTopic(t, 1)
  const first: Alert = { ...fullAlert, alertId: 'first', action: 'flag' }
  const second: Alert = { ...fullAlert, alertId: 'second', action: 'block' }
  await topic.send('commit', [
    { value: codecs.alert.encode(first) },
    { value: 'no alert at all' },
    { value: codecs.transaction.encode(minimalTransaction) },
    { value: null },
  ])
  await topic.send('abort', [{ value: codecs.alert.encode({ ...first, alertId: 'aborted' }) }])
  await topic.send('commit', [{ value: codecs.alert.encode(second) }])

  const telemetry = createAlertsTelemetry()
  const stop = new AbortController()
  const received: Alert[] = []
  const unread: string[] = []
  await tailAlerts(
    {
      brokers,
      topicPrefix: topic.prefix,
      codecs,
      startAt: 'beginning',
      clock: systemClock,
      telemetry,
      onNotRead: ({ offset, reason }) => {
        unread.push(`${offset} ${reason}`)
      },
    },
    ({ alert }) => {
      received.push(alert)
      if (alert.alertId === 'second') stop.abort()
    },
    stop.signal,
  )
  deepStrictEqual(
    received.map(({ alertId, action }) => [alertId, action]),
    [
      ['first', 'flag'],
      ['second', 'block'],
    ],
  )
  deepStrictEqual(unread, ['1 not_framed', '2 unexpected_schema', '3 empty'])
  const metrics = await telemetry.registry.metrics()
  ok(metrics.includes('sluice_alerts_seen_total{action="block"} 1'))
  ok(metrics.includes('sluice_alerts_not_read_total{reason="empty"} 1'))
})
