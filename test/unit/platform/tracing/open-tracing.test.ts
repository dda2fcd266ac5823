// Goal: the promises of a partition's tracer: which batches are recorded, the limits on links and queued spans, and
// that OpenTelemetry is not needed while tracing is off. Spans go to a receiver in the test.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isSluiceError, SluiceError } from '../../../../services/core/errors.ts'
import { parseTraceparent } from '../../../../services/core/trace-context.ts'
import type { BatchReport } from '../../../../services/platform/metrics/batch-metrics.ts'
import {
  type BatchStart,
  loadOpenTelemetry,
  openBatchTracer,
  tracesUrl,
} from '../../../../services/platform/tracing/open-tracing.ts'
import { traceparentOf } from '../../../../services/producer/kafka-sink.ts'
import { openKeptLog } from '../../../support/kept-log.ts'
import { attributeOf, openOtlpReceiver } from '../../../support/otlp-receiver.ts'

const REPORT = {
  transactions: 1,
  labels: [],
  duplicates: 0,
  outcomes: { approve: 1, flag: 0, block: 0 },
  alerts: [],
  deadLetters: [],
  stagesMs: { decode: 1, read: 1, features: 1, score: 1, write: 1, commit: 1, total: 6 },
} as unknown as BatchReport

function batchOf(messages: BatchStart['messages']): BatchStart {
  const nextOffset = messages.length
  return {
    partition: 2,
    firstOffset: 0,
    nextOffset,
    startedAtMs: Date.now(),
    elapsedMs: 1,
    messages,
  }
}

async function openTracer(t: TestContext, sampleRatio: number) {
  const receiver = await openOtlpReceiver(t)
  const dropped = { spans: 0 }
  const { log, lines } = openKeptLog()
  const tracer = await openBatchTracer({
    endpoint: receiver.endpoint,
    sampleRatio,
    serviceName: 'sluice-test',
    groupId: 'group',
    topics: { transactions: 'transactions', alerts: 'alerts' },
    log,
    onDropped: (count) => {
      dropped.spans += count
    },
  })
  return { receiver, dropped, lines, tracer }
}

function traced(id: string, isSampled: boolean) {
  const traceparent = (traceparentOf(id, 1) ?? '').replace(/..$/, isSampled ? '01' : '00')
  return { traceparent: Buffer.from(traceparent) }
}

test('recorded is a batch with a sampled message, and without one only our own share', async (t) => {
  const none = await openTracer(t, 0)
  const unsampled = batchOf([{ offset: 0, headers: traced('a', false) }, { offset: 1 }])
  strictEqual(none.tracer.startBatch(unsampled), null)
  strictEqual(none.tracer.startBatch(batchOf([])), null)
  ok(none.tracer.startBatch(batchOf([{ offset: 0, headers: traced('a', true) }])) !== null)
  const all = await openTracer(t, 1)
  ok(all.tracer.startBatch(unsampled) !== null && all.tracer.startBatch(batchOf([])) !== null)
  await none.tracer.close()
  await all.tracer.close()
})

test('a batch has at most 64 links and 64 spans of alerts, and the other alerts pass on what they had', async (t) => {
  const { tracer, receiver, dropped } = await openTracer(t, 0)
  const messages = Array.from({ length: 200 }, (_, offset) => ({
    offset,
    headers: traced(`tx-${offset}`, true),
  }))
  const span = tracer.startBatch(batchOf(messages))
  const headers = messages.map((message) => span?.alertHeaders('alert', message.headers) ?? null)
  span?.end(REPORT)
  await tracer.close()
  deepStrictEqual(
    headers.map((each) => each !== null),
    messages.map((_, index) => index < 64),
  )
  const batch = receiver.spans.find(({ name }) => name === 'process transactions')
  strictEqual(batch?.links.length, 64)
  strictEqual(receiver.spans.length, 65)
  strictEqual(dropped.spans, 0)
  for (const [index, each] of headers.slice(0, 64).entries()) {
    const parent = parseTraceparent(each?.traceparent ?? '')
    const origin = parseTraceparent(String(messages[index]?.headers.traceparent))
    strictEqual(parent?.traceId, origin?.traceId)
  }
})

test('a batch that fails is sent as an error with its code and without its text', async (t) => {
  const { tracer, receiver } = await openTracer(t, 1)
  const span = tracer.startBatch(batchOf([]))
  span?.fail(new SluiceError('SLUICE_COMMIT_UNKNOWN', 'for card 4111111111111111'))
  await tracer.close()
  const [sent] = receiver.spans
  ok(sent !== undefined)
  strictEqual(sent.status.code, 2)
  strictEqual(attributeOf(sent, 'error.type'), 'SLUICE_COMMIT_UNKNOWN')
  ok(!JSON.stringify(sent).includes('for card'))
})

test('the queue has a limit: spans beyond it are dropped and counted, and every span is sent or counted', async (t) => {
  const { tracer, receiver, dropped } = await openTracer(t, 1)
  const count = 5_000
  for (let index = 0; index < count; index += 1) tracer.startBatch(batchOf([]))?.end(REPORT)
  ok(dropped.spans > 0)
  await tracer.close()
  strictEqual(receiver.spans.length + dropped.spans, count)
})

test('a receiver that refuses is logged once, and its spans are counted', async (t) => {
  const { tracer, receiver, dropped, lines } = await openTracer(t, 1)
  receiver.answerWith(400)
  for (let index = 0; index < 300; index += 1) tracer.startBatch(batchOf([]))?.end(REPORT)
  await tracer.close()
  strictEqual(dropped.spans, 300)
  deepStrictEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [['warn', 'Spans cannot be sent and are dropped.']],
  )
})

test('without the packages the error says what to install', async () => {
  const missing = '@opentelemetry/not-there'
  await rejects(
    loadOpenTelemetry(() => import(missing) as Promise<never>),
    (error) =>
      isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING') &&
      /npm ci --include=optional/.test(error.message) &&
      error.message.includes(missing),
  )
})

test('an address without a path gets the usual one, and one with a path keeps it', () => {
  strictEqual(tracesUrl('http://127.0.0.1:4318'), 'http://127.0.0.1:4318/v1/traces')
  strictEqual(
    tracesUrl('https://a.example/otlp/v1/traces?x=1'),
    'https://a.example/otlp/v1/traces?x=1',
  )
})
