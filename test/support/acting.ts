// Shared by the tests of enforcer, receipts, queue and labels: alerts as a scorer would publish them, the services in
// this process, and readers of their topics and metrics.

import type { TestContext } from 'node:test'
import {
  loadCasesConfig,
  loadEnforcerConfig,
  loadReceiptsConfig,
  runCases,
  runEnforcer,
  runReceipts,
} from '../../services/alerts/index.ts'
import { fetchMetricsPage, metricsUrl, sumOfSeries } from '../../services/cli/metrics-page.ts'
import { alertIdOf } from '../../services/core/decision/decide.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { systemClock } from '../../services/platform/clock.ts'
import {
  follow,
  readToEnd,
  type CommittedReaderOptions,
  type OnCommitted,
} from '../../services/platform/kafka/committed-reader.ts'
import { topicName, type Topic } from '../../services/platform/kafka/topics.ts'
import { openLogger } from '../../services/platform/log.ts'
import { minimalAlert } from '../unit/core/wire/samples.ts'
import { closeWith } from './cleanup.ts'
import { readAtLeast } from './poll.ts'
import { PARTITION_COUNT, type TestStream } from './streams.ts'

export const TOKEN = 'token-of-the-tests-0123456789'
const HOUR_MS = 3_600_000

/** A block of a card that begins now and lasts an hour. The number distinguishes alerts. */
export function blockOf(card: string, number: number, more: Partial<Alert> = {}): Alert {
  const nowMs = Date.now()
  return {
    ...minimalAlert,
    alertId: alertIdOf('acting', 'transactions', 0, number),
    action: 'block',
    mode: 'enforce',
    card,
    transactionId: `tx-${number}`,
    eventTimeMs: nowMs,
    score: 0.97,
    threshold: 0.9,
    lease: { grade: 'suspected', startMs: nowMs, endMs: nowMs + HOUR_MS },
    source: { ...minimalAlert.source, offset: number, timestampMs: nowMs },
    decidedAtMs: nowMs,
    ...more,
  }
}

/** A later revision that withdraws the alert. */
export function releaseOf(alert: Alert): Alert {
  const revision = alert.revision + 1
  const decidedAtMs = Date.now()
  return {
    ...alert,
    revision,
    supersedes: alert.revision,
    action: 'release',
    lease: null,
    decidedAtMs,
  }
}

export interface Message {
  readonly key: string | null
  readonly value: Buffer
  readonly partition?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends messages to any topic of the stream. */
export type Send = (topic: Topic, messages: readonly Message[]) => Promise<void>

/** A producer of the stream, closed when the test ends. */
export async function openSender(t: TestContext, stream: TestStream): Promise<Send> {
  const producer = stream.kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  return async (topic, messages) => {
    await producer.send({ topic: topicName(stream.prefix, topic), messages: [...messages] })
  }
}

/** Alerts as messages: keyed by card, in the partition of the card. */
export function alertMessages(stream: TestStream, alerts: readonly Alert[]): readonly Message[] {
  return alerts.map((alert) => ({
    key: alert.card,
    value: stream.codecs.alert.encode(alert),
    partition: partitionOf(Buffer.from(alert.card), PARTITION_COUNT),
  }))
}

interface Codec<Value> {
  decode(bytes: Uint8Array | null): { readonly ok: boolean; readonly value?: Value }
}

/** Reads a topic from its beginning into a list of decoded values. */
function readingInto<Value>(
  values: Value[],
  { brokers, prefix, streamId }: TestStream,
  topic: Topic,
  codec: Codec<Value>,
): readonly [options: CommittedReaderOptions, take: OnCommitted] {
  const options: CommittedReaderOptions = {
    brokers,
    name: `test-acting-${streamId}`,
    topics: [topicName(prefix, topic)],
    startAt: 'beginning',
  }
  const take: OnCommitted = ({ messages }) => {
    for (const { value } of messages) {
      const decoded = codec.decode(value)
      if (decoded.ok && decoded.value !== undefined) values.push(decoded.value)
    }
  }
  return [options, take]
}

/**
 * All committed messages of a topic, decoded, once there are this many; unreadable ones are left out. A commit is
 * answered before its marker is written to every partition, so a single read right after it may be too early.
 */
export async function readTopic<Value>(
  stream: TestStream,
  topic: Topic,
  codec: Codec<Value>,
  countMin: number,
): Promise<readonly Value[]> {
  const read = async (): Promise<readonly Value[]> => {
    const values: Value[] = []
    await readToEnd(...readingInto(values, stream, topic, codec))
    return values
  }
  return readAtLeast(countMin, `messages of ${topic} are committed`, read)
}

/** Committed messages of a topic as they arrive, decoded; ends with the test. */
export async function followTopic<Value>(
  t: TestContext,
  stream: TestStream,
  topic: Topic,
  codec: Codec<Value>,
): Promise<readonly Value[]> {
  const values: Value[] = []
  const stop = new AbortController()
  await new Promise<void>((resolve, reject) => {
    const done = follow(...readingInto(values, stream, topic, codec), stop.signal, resolve).catch(
      reject,
    )
    closeWith(t, async () => {
      stop.abort()
      await done
    })
  })
  return values
}

/** A service in this process. */
export interface Running {
  readonly url: string
  readonly metricsPort: number
  /** Ends the service; rethrows its error. */
  stop(): Promise<void>
}

/** Environment of the services: free ports and a token. */
export function actingEnvironment(
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return stream.patientEnvironment({
    SLUICE_ENFORCER_TOKEN: TOKEN,
    SLUICE_ENFORCER_PORT: '0',
    SLUICE_CASES_TOKENS: `ana:${TOKEN}`,
    SLUICE_CASES_PORT: '0',
    SLUICE_LOG_LEVEL: 'silent',
    ...more,
  })
}

/** Starts a service and waits until it is ready; it is stopped when the test ends. */
export async function startService(
  t: TestContext,
  run: (
    signal: AbortSignal,
    ready: (ports: { http: number; metrics: number }) => void,
  ) => Promise<void>,
): Promise<Running> {
  const stop = new AbortController()
  let ended: Promise<void> = Promise.resolve()
  const ports = await new Promise<{ http: number; metrics: number }>((resolve, reject) => {
    ended = run(stop.signal, resolve)
    ended.then(() => {
      reject(new Error('The service ended before it was ready.'))
    }, reject)
  })
  const end = async (): Promise<void> => {
    stop.abort()
    await ended
  }
  closeWith(t, () => end().catch(() => undefined))
  return { url: `http://127.0.0.1:${ports.http}`, metricsPort: ports.metrics, stop: end }
}

export function startEnforcer(
  t: TestContext,
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const config = loadEnforcerConfig(actingEnvironment(stream, more))
  const log = openLogger('test', 'silent')
  return startService(t, (signal, onReady) =>
    runEnforcer({ config, clock: systemClock, log, onReady }, signal),
  )
}

export function startReceipts(
  t: TestContext,
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const config = loadReceiptsConfig(actingEnvironment(stream, more))
  const log = openLogger('test', 'silent')
  return startService(t, (signal, ready) =>
    runReceipts(
      {
        config,
        clock: systemClock,
        log,
        onReady: (metrics) => {
          ready({ http: 0, metrics })
        },
      },
      signal,
    ),
  )
}

/** Posts JSON with the token. */
export async function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** The sum of the series of a selector, such as `sluice_receipts_total{action="block",status="applied"}`; 0 when absent. */
export async function metricOf(port: number, selector: string): Promise<number> {
  const page = await fetchMetricsPage(metricsUrl(`127.0.0.1:${port}`), 'the process of this test')
  return sumOfSeries(page, selector) ?? 0
}

export function startCases(
  t: TestContext,
  stream: TestStream,
  more: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const config = loadCasesConfig(actingEnvironment(stream, more))
  const log = openLogger('test', 'silent')
  return startService(t, (signal, onReady) =>
    runCases({ config, clock: systemClock, log, onReady }, signal),
  )
}
