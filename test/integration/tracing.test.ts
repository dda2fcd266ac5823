// Goal: an alert continues the trace of its transaction, with tracing off and on; spans reach a receiver, and an
// unavailable receiver costs only spans. Method: the scorer as a process, real topics, an OTLP receiver in the test.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { IHeaders } from 'kafkajs'
import { parseTraceparent, traceParentOf } from '../../services/core/trace-context.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { topicName, type Topic } from '../../services/platform/kafka/topics.ts'
import { traceparentOf } from '../../services/producer/kafka-sink.ts'
import { audit } from '../support/audit.ts'
import { attributeOf, openOtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

const TRACESTATE = 'bank=a1b2,other@system=x y'
const CONSUMER = 5
const PRODUCER = 4

type Headers = Readonly<Record<string, string>>

/** Sends simulated transactions, each with the headers that the function returns. */
async function sendTraced(
  stream: TestStream,
  count: number,
  headersFor: (transactionId: string, index: number) => Headers,
): Promise<ReadonlyMap<string, Headers>> {
  const sent = new Map<string, Headers>()
  const messages = Array.from({ length: PARTITION_COUNT }, () => [] as object[])
  for (const event of await simulatedEvents(count)) {
    if (event.kind !== 'transaction') continue
    const { transaction } = event
    const partition = partitionOf(Buffer.from(transaction.card), PARTITION_COUNT)
    const headers = headersFor(transaction.id, sent.size)
    sent.set(transaction.id, headers)
    const value = stream.codecs.transaction.encode(transaction)
    messages[partition]?.push({ key: transaction.card, value, headers })
  }
  for (const [partition, each] of messages.entries()) {
    await stream.sendRaw('transactions', partition, each as [])
  }
  return sent
}

interface Published {
  readonly topic: string
  readonly transactionId: string
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
}

/** Trace headers of all messages in these topics. */
async function readTraces(
  stream: TestStream,
  topics: readonly Topic[],
): Promise<readonly Published[]> {
  const published: Published[] = []
  const byAlert = new Map<string, string>()
  const text = (headers: IHeaders | undefined, name: string) => headers?.[name]?.toString()
  await readToEnd(
    {
      brokers: stream.brokers,
      name: 'sluice-test-traces',
      topics: topics.map((topic) => topicName(stream.prefix, topic)),
      startAt: 'beginning',
    },
    ({ topic, messages }) => {
      for (const { value, headers } of messages) {
        // The end marker that the audit has sent.
        if (value === null) continue
        const name = topic.slice(stream.prefix.length)
        const alert = name === 'alerts' ? stream.codecs.alert.decode(value) : null
        if (alert?.ok === true) byAlert.set(alert.value.alertId, alert.value.transactionId)
        const lease = name === 'leases' ? stream.codecs.lease.decode(value) : null
        // Later revisions of a block, and its lease, are not part of the payment's trace.
        if (alert?.ok === true && alert.value.cause !== null) continue
        if (lease?.ok === true && lease.value.revision > 0) continue
        published.push({
          topic: name,
          transactionId:
            alert?.ok === true
              ? alert.value.transactionId
              : lease?.ok === true
                ? `lease of ${lease.value.alertId}`
                : '',
          traceparent: text(headers, 'traceparent'),
          tracestate: text(headers, 'tracestate'),
        })
      }
    },
  )
  return published.map((each) => ({
    ...each,
    transactionId: byAlert.get(each.transactionId.slice('lease of '.length)) ?? each.transactionId,
  }))
}

async function untilDecided(t: TestContext, stream: TestStream): Promise<void> {
  const outputs = followOutputs(t, stream)
  await outputs.readToEnd()
  deepStrictEqual(await audit(stream, outputs), [])
}

/**
 * Every second transaction has a valid trace, and every fourth of those a tracestate; the others have an invalid one.
 */
function mixedHeaders(id: string, index: number): Headers {
  const traceparent = traceparentOf(id, 1) ?? ''
  if (index % 8 === 0) return { traceparent, tracestate: TRACESTATE }
  if (index % 2 === 0) return { traceparent }
  if (index % 3 === 0) return { traceparent: traceparent.toUpperCase(), tracestate: TRACESTATE }
  return {}
}

test('with tracing off an alert, its lease and a dead letter propagate the valid headers of their message', async (t) => {
  const stream = await openStream(t, 'trace-off')
  const sent = await sendTraced(stream, 2_000, mixedHeaders)
  const letterHeaders = { traceparent: traceparentOf('letter', 1) ?? '', tracestate: TRACESTATE }
  await stream.sendRaw('transactions', 0, [
    { key: null, value: Buffer.from('not a transaction'), headers: letterHeaders },
  ])
  await startScorer(t, stream.patientEnvironment({ SLUICE_MODE: 'enforce' }))
  await untilDecided(t, stream)
  const published = await readTraces(stream, ['alerts', 'leases', 'dead-letters'])
  const seen = { alerts: 0, leases: 0, 'dead-letters': 0, none: 0 }
  for (const { topic, transactionId, traceparent, tracestate } of published) {
    const headers = topic === 'dead-letters' ? letterHeaders : sent.get(transactionId)
    ok(headers !== undefined, `${topic} of ${transactionId}`)
    const given: Readonly<Record<string, string | undefined>> = headers
    const isValid = parseTraceparent(given['traceparent'] ?? '') !== null
    strictEqual(traceparent, isValid ? given['traceparent'] : undefined)
    strictEqual(tracestate, isValid ? given['tracestate'] : undefined)
    seen[isValid ? (topic as keyof typeof seen) : 'none'] += 1
  }
  ok(
    Object.values(seen).every((count) => count > 0),
    JSON.stringify(seen),
  )
})

test('the span of a batch links its sampled transactions, and an alert continues their trace', async (t) => {
  const receiver = await openOtlpReceiver(t)
  const stream = await openStream(t, 'trace-on')
  // A tenth is sampled by its sender; the other traces are not sampled.
  const sent = await sendTraced(stream, 2_000, (id, index) => {
    const traceparent = traceparentOf(id, 1) ?? ''
    if (index % 10 === 0) return { traceparent, tracestate: TRACESTATE }
    return { traceparent: traceparent.replace(/01$/, '00') }
  })
  const scorer = await startScorer(
    t,
    stream.patientEnvironment({
      SLUICE_TRACING_ENDPOINT: receiver.endpoint,
      SLUICE_TRACING_SAMPLE_RATIO: '0',
      SLUICE_BATCH_SIZE_MAX: '64',
    }),
  )
  await untilDecided(t, stream)
  strictEqual(await scorer.metric('sluice_spans_dropped_total'), 0)
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual([...receiver.paths], ['/v1/traces'])
  deepStrictEqual([...receiver.services], ['sluice-scorer'])
  const batches = receiver.spans.filter(({ kind }) => kind === CONSUMER)
  const created = receiver.spans.filter(({ kind }) => kind === PRODUCER)
  strictEqual(batches.length + created.length, receiver.spans.length)
  assertLinked(batches, [...sent.values()])
  assertContinued(await readTraces(stream, ['alerts']), sent, created, batches)
  const text = JSON.stringify(receiver.spans)
  for (const id of sent.keys()) ok(!text.includes(id), 'no span names a transaction')
})

/** The links of all batches are exactly the sampled messages. */
function assertLinked(batches: readonly ReceivedSpan[], headers: readonly Headers[]): void {
  const linked = batches.flatMap(({ links }) =>
    links.map((link) => `${link.traceId}-${link.spanId}`),
  )
  const sampled = headers
    .map((each) => traceParentOf(each))
    .flatMap((parent) => (parent?.isSampled === true ? [`${parent.traceId}-${parent.spanId}`] : []))
  ok(sampled.length > 0)
  deepStrictEqual(linked.toSorted(), sampled.toSorted())
  for (const batch of batches) {
    match(batch.name, /^process .*transactions$/)
    strictEqual(attributeOf(batch, 'messaging.system'), 'kafka')
    strictEqual(attributeOf(batch, 'messaging.operation.type'), 'process')
    const count = ['approve', 'flag', 'block']
      .map((outcome) => Number(attributeOf(batch, `sluice.decisions.${outcome}`)))
      .reduce((sum, each) => sum + each, 0)
    strictEqual(count, attributeOf(batch, 'messaging.batch.message_count'))
    deepStrictEqual(
      batch.events.map(({ name }) => name),
      ['decode', 'read', 'features', 'score', 'write', 'commit'].map((stage) => `sluice.${stage}`),
    )
    const times = [batch.startTimeUnixNano, ...batch.events.map((event) => event.timeUnixNano)]
    deepStrictEqual(times, times.toSorted())
    ok(BigInt(batch.endTimeUnixNano) >= BigInt(times.at(-1) ?? 0))
  }
}

/** Alerts of sampled transactions name the span that made them; the others pass on the original headers. */
function assertContinued(
  alerts: readonly Published[],
  sent: ReadonlyMap<string, Headers>,
  created: readonly ReceivedSpan[],
  batches: readonly ReceivedSpan[],
): void {
  const batchIds = new Set(batches.map(({ spanId }) => spanId))
  let continued = 0
  for (const { transactionId, traceparent = '', tracestate } of alerts) {
    const headers = sent.get(transactionId)
    const origin = traceParentOf(headers)
    const parent = parseTraceparent(traceparent)
    strictEqual(tracestate, headers?.['tracestate'])
    if (origin?.isSampled !== true) {
      strictEqual(traceparent, headers?.['traceparent'])
      continue
    }
    continued += 1
    const span = created.find(({ spanId }) => spanId === parent?.spanId)
    ok(span !== undefined, 'the span that the alert names was sent')
    strictEqual(parent?.isSampled, true)
    deepStrictEqual([parent.traceId, span.traceId], [origin.traceId, origin.traceId])
    strictEqual(span.parentSpanId, origin.spanId)
    strictEqual(span.traceState, TRACESTATE)
    ok(batchIds.has(span.links[0]?.spanId ?? ''), 'it is linked to the batch that decided it')
  }
  ok(continued > 0, 'no alert about a sampled transaction')
  strictEqual(continued, created.length)
}

test('an unavailable receiver costs spans, which are counted, and no decision', async (t) => {
  const receiver = await openOtlpReceiver(t)
  receiver.answerWith(400)
  const stream = await openStream(t, 'trace-away')
  const environment = (endpoint: string) =>
    stream.patientEnvironment({
      SLUICE_TRACING_ENDPOINT: endpoint,
      SLUICE_TRACING_SAMPLE_RATIO: '1',
    })
  await sendTraced(stream, 1_000, mixedHeaders)
  const refused = await startScorer(t, environment(receiver.endpoint))
  await untilDecided(t, stream)
  await eventually('the dropped spans are counted', async () => {
    return (await refused.metric('sluice_spans_dropped_total')) > 0
  })
  await refused.logged('Spans cannot be sent and are dropped.')
  strictEqual(await refused.end('SIGTERM'), 0)
  // No process listens on port 9 of this machine.
  const away = await startScorer(t, environment('http://127.0.0.1:9'))
  await sendTraced(stream, 1_000, mixedHeaders)
  await untilDecided(t, stream)
  strictEqual(await away.end('SIGTERM'), 0)
})
