// The forwarder as a process: one consumer and one set of deliveries for each target, metrics, and a graceful stop.

import type { Clock } from '../../core/clock.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { registerCompressionCodecs } from '../../platform/kafka/compression.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import {
  createForwardTelemetry,
  type ForwardTelemetry,
} from '../../platform/metrics/alerts-telemetry.ts'
import { openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import type { ForwardConfig } from './config.ts'
import { openLetterWriter, type WriteLetter } from './redeliver.ts'
import { openSender, type SendEvent } from './send-event.ts'
import { TargetConsumer } from './target-consumer.ts'
import { TargetDeliveries } from './target-deliveries.ts'
import type { Target } from './targets-file.ts'

const CLIENT_RETRY = { initialRetryTime: 50, maxRetryTime: 5_000, retries: 10 } as const
const CONNECTION_TIMEOUT_MS = 3_000

export interface ForwardOptions {
  readonly config: ForwardConfig & { readonly topicPrefix: string }
  readonly targets: readonly Target[]
  readonly clock: Clock
  /** Number from 0 to 1, for the jitter of retries. */
  readonly random: () => number
  readonly log: Logger
  /** Replaces the sender, for tests that show why it is needed. */
  readonly send?: SendEvent
  /** Called once metrics are served and every target has its position. */
  readonly onReady?: (metricsPort: number) => void
}

/** Consumer group of one target, which stores its position. */
export function forwardGroupId(topicPrefix: string, target: string): string {
  return `${topicPrefix}sluice-forward-${target}`
}

/**
 * Forwards until the signal is aborted; then waits for open requests, and commits. @throws SluiceError
 * SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED, or errors of a schema
 * registry.
 */
export async function runForwarder(options: ForwardOptions, signal: AbortSignal): Promise<void> {
  const { config, targets, log } = options
  const { topicPrefix, schemaRegistryUrl: url } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const telemetry = createForwardTelemetry()
  for (const { name } of targets) telemetry.targetAdded(name)
  warnOfPlainHttp(targets, log)
  const opened: Closable[] = []
  const failed = new Failure()
  try {
    const consumers: TargetConsumer[] = []
    const metrics = await openMetricsServer({
      ...config.metrics,
      registry: telemetry.registry,
      readiness: () => readinessOf(targets, consumers),
    })
    opened.push(metrics)
    const shared = await openShared(config, opened)
    const codecs = createCodecs(content)
    const send = options.send ?? openSender(options.clock)
    for (const target of targets) {
      const parts = { ...shared, codecs, send, telemetry, onFailure: failed.tell }
      consumers.push(openTarget(options, target, parts))
    }
    opened.push({ close: () => closeTogether(consumers) })
    await Promise.race([Promise.all(consumers.map((each) => each.start())), failed.promise])
    await Promise.race([Promise.all(consumers.map((each) => each.joined)), failed.promise])
    log.info(
      { metricsPort: metrics.port, targets: targets.length },
      'Forwarder follows the alerts.',
    )
    options.onReady?.(metrics.port)
    await Promise.race([aborted(signal), failed.promise])
  } catch (error) {
    throw await kafkaError(config, error)
  } finally {
    await closeAll(opened)
    log.info({}, 'Forwarder stopped.')
  }
}

/** Settles with the first failure, which ends the process. */
class Failure {
  readonly promise: Promise<never>
  tell!: (error: unknown) => void

  constructor() {
    this.promise = new Promise((_, reject) => {
      this.tell = reject
    })
    // It may be rejected while nothing awaits it.
    this.promise.catch(() => undefined)
  }
}

interface Shared {
  readonly admin: ReturnType<ReturnType<typeof openKafka>['admin']>
  readonly writeLetter: WriteLetter
}

/** Opens the clients shared by all targets: one admin client, and one producer of dead letters. */
async function openShared(config: ForwardOptions['config'], opened: Closable[]): Promise<Shared> {
  registerCompressionCodecs()
  const kafka = openKafka(config, {
    clientId: 'sluice-forward',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: CLIENT_RETRY,
  })
  const admin = kafka.admin()
  opened.push({ close: () => admin.disconnect() })
  await admin.connect()
  const letters = topicName(config.topicPrefix, 'forward-dead-letters')
  await readPartitionCount(admin, config.topicPrefix, ['alerts', 'forward-dead-letters'])
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  opened.push({ close: () => producer.disconnect() })
  await producer.connect()
  return { admin, writeLetter: openLetterWriter(producer, letters) }
}

interface TargetParts extends Shared {
  readonly codecs: ReturnType<typeof createCodecs>
  readonly send: SendEvent
  readonly telemetry: ForwardTelemetry
  readonly onFailure: (error: unknown) => void
}

function openTarget(options: ForwardOptions, target: Target, parts: TargetParts): TargetConsumer {
  const { config, clock, random, log } = options
  const deliveries = new TargetDeliveries({
    ...parts,
    ...{ target, clock, random, log },
    onDone: (partition) => {
      consumer.partitionMoved(partition)
    },
  })
  // Each target has its own client, so that a waiting fetch of one does not delay another.
  const clientId = `sluice-forward-${target.name}`
  const client = { clientId, connectionTimeout: CONNECTION_TIMEOUT_MS, retry: CLIENT_RETRY }
  const consumer = new TargetConsumer({
    ...parts,
    ...{ target, deliveries, clock, log },
    connection: config,
    kafka: openKafka(config, client, log),
    topic: topicName(config.topicPrefix, 'alerts'),
    groupId: forwardGroupId(config.topicPrefix, target.name),
  })
  return consumer
}

/** Closes all at once, so that the grace periods of their requests do not add up. */
async function closeTogether(consumers: readonly TargetConsumer[]): Promise<void> {
  const closed = await Promise.allSettled(consumers.map((each) => each.close()))
  const failures = closed.filter(({ status }) => status === 'rejected')
  if (failures.length > 0) throw new AggregateError(failures, 'Some targets failed to close.')
}

function readinessOf(targets: readonly Target[], consumers: readonly TargetConsumer[]) {
  const waiting = targets.filter((_, index) => consumers[index]?.isConsuming !== true)
  const details = { waitingFor: waiting.map(({ name }) => name) }
  return { isReady: waiting.length === 0, details }
}

function warnOfPlainHttp(targets: readonly Target[], log: Logger): void {
  for (const { name, url } of targets) {
    const { protocol, hostname } = new URL(url)
    const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
    if (protocol === 'http:' && !isLocal) {
      log.warn({ target: name }, 'Alerts go to this target without encryption; use https.')
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve()
        },
        { once: true },
      )
  })
}

async function kafkaError(connection: KafkaConnection, error: unknown): Promise<unknown> {
  const isKafkas = error instanceof Error && error.name.startsWith('KafkaJS')
  return isKafkas ? await kafkaUnreadable(connection, error) : error
}
