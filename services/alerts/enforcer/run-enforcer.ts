// The reference enforcer: follows the alerts with committed reads, keeps the active blocks, answers whether a card may
// pay, and writes a receipt for every block and release. Receipts and the offsets that they cover are one Kafka
// transaction, so a kill loses and repeats none. A block is active before its receipt is written, never after. At the
// start, blocks are rebuilt from alerts as old as a lease can be. Alerts with an earlier receipt get no second one, and
// no payment is answered until all of them are read.

import type { Clock } from '../../core/clock.ts'
import { ActiveBlocks, type Enforced } from '../../core/active-blocks.ts'
import { type Codecs, createCodecs } from '../../core/wire/codecs.ts'
import type { Alert } from '../../core/wire/records.ts'
import { openApiServer } from '../../platform/http/api-server.ts'
import type { CommittedMessages } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import {
  createEnforcerTelemetry,
  type EnforcerTelemetry,
} from '../../platform/metrics/alerts-telemetry.ts'
import { openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import {
  openTransactionalConsumer,
  type TransactionalConsumer,
  type TransactionalConsumerOptions,
} from '../transactional-consumer.ts'
import { RECEIPT_SIGNATURE_HEADER, signReceipt } from '../receipts/receipt-signature.ts'
import type { EnforcerConfig } from './config.ts'
import { enforcerRoutes } from './routes.ts'

/** A million active blocks take about 300 MB. */
const BLOCKS_MAX = 1_000_000
const STANDING_MS = 1_000
/** Largest lead of an event time over its record's time stamp. */
const AHEAD_MS_MAX = 3_600_000

export interface EnforcerOptions extends Pick<TransactionalConsumerOptions, 'openTransactions'> {
  readonly config: EnforcerConfig
  readonly clock: Clock
  readonly log: Logger
  /** Called once payments are answered, which may take a while after a restart. */
  readonly onReady?: (ports: { readonly http: number; readonly metrics: number }) => void
  /** Called with receipts once they are committed. */
  readonly onReceipts?: (receipts: readonly Answer[]) => void
}

/**
 * Runs until the signal is aborted. @throws SluiceError as `openTransactionalConsumer`, or SLUICE_CONFIG_INVALID for
 * the port.
 */
export async function runEnforcer(options: EnforcerOptions, signal: AbortSignal): Promise<void> {
  const opened: Closable[] = []
  try {
    await run(options, opened, signal)
  } finally {
    await closeAll(opened.splice(0))
    options.log.info({}, 'Enforcer stopped.')
  }
}

async function run(
  options: EnforcerOptions,
  opened: Closable[],
  signal: AbortSignal,
): Promise<void> {
  const { config, clock, log } = options
  const { topicPrefix, schemaRegistryUrl: url, subscriber } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const telemetry = createEnforcerTelemetry()
  const blocks = new ActiveBlocks({
    blocksMax: BLOCKS_MAX,
    leaseMsMax: config.leaseMs,
    isNeverBlocked: (card) => config.neverBlocked.has(card),
  })
  const name = `sluice-enforcer-${subscriber}`
  const reader = await openTransactionalConsumer({
    ...config,
    name,
    topics: ['alerts', 'alerts-resent'],
    sinceMs: Math.max(0, clock.nowMs() - config.leaseMs - AHEAD_MS_MAX),
    log,
    ...(options.openTransactions && { openTransactions: options.openTransactions }),
  })
  opened.push(reader)
  const metrics = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => ({ isReady: reader.isCaughtUp, details: { activeBlocks: blocks.size } }),
  })
  opened.push(metrics)
  const api = await openApiServer({
    ...config.http,
    tokens: [{ name: null, token: config.token, right: 'write' }],
    requestsPerSecondMax: config.requestsPerSecondMax,
    routes: enforcerRoutes({ blocks, clock, telemetry, isReady: () => reader.isCaughtUp }),
    clock,
    log,
    onAnswered: (problem) => {
      telemetry.answered(problem)
    },
  })
  opened.push(api)
  const enforcer = new Enforcer(options, createCodecs(content), blocks, reader, telemetry)
  const timer = setInterval(() => {
    blocks.sweep(clock.nowMs())
    telemetry.stood({ activeBlocks: blocks.countLive(clock.nowMs()), isReady: reader.isCaughtUp })
  }, STANDING_MS)
  opened.push({
    close: () => {
      clearInterval(timer)
      return Promise.resolve()
    },
  })
  await reader.run(
    (batch) => enforcer.take(batch),
    signal,
    () => {
      telemetry.stood({ activeBlocks: blocks.countLive(clock.nowMs()), isReady: true })
      log.info(
        { port: api.port, metricsPort: metrics.port, activeBlocks: blocks.size },
        'Enforcer answers.',
      )
      options.onReady?.({ http: api.port, metrics: metrics.port })
    },
  )
}

/** An alert and its receipt. */
export interface Answer {
  readonly alert: Alert
  readonly enforced: Enforced
}

class Enforcer {
  readonly #options: EnforcerOptions
  readonly #codecs: Pick<Codecs, 'alert' | 'receipt'>
  readonly #blocks: ActiveBlocks
  readonly #reader: TransactionalConsumer
  readonly #telemetry: EnforcerTelemetry

  constructor(
    options: EnforcerOptions,
    codecs: Pick<Codecs, 'alert' | 'receipt'>,
    blocks: ActiveBlocks,
    reader: TransactionalConsumer,
    telemetry: EnforcerTelemetry,
  ) {
    this.#options = options
    this.#codecs = codecs
    this.#blocks = blocks
    this.#reader = reader
    this.#telemetry = telemetry
  }

  async take(batch: CommittedMessages): Promise<void> {
    const { topic, partition, messages } = batch
    const answers: Answer[] = []
    for (const { value, offset } of messages) {
      const isAnswered = this.#reader.isAnswered(topic, partition, Number(offset))
      const answer = this.#applyOne(value, isAnswered)
      if (answer !== null && !isAnswered) answers.push(answer)
    }
    await this.#reader.answer(batch, this.#receiptsOf(answers))
    for (const { enforced } of answers) this.#telemetry.receiptWritten(enforced)
    if (answers.length > 0) this.#options.onReceipts?.(answers)
  }

  #applyOne(value: Buffer | null, isAnswered: boolean): Answer | null {
    const decoded = this.#codecs.alert.decode(value)
    if (!decoded.ok) {
      if (!isAnswered) this.#telemetry.alertNotRead(decoded.reason)
      return null
    }
    const enforced = this.#blocks.apply(decoded.value, this.#options.clock.nowMs())
    return enforced === null ? null : { alert: decoded.value, enforced }
  }

  #receiptsOf(answers: readonly Answer[]) {
    if (answers.length === 0) return []
    const { clock, config } = this.#options
    const atMs = clock.nowMs()
    const messages = answers.map(({ alert: { alertId, revision }, enforced }) => {
      const { status, reason } = enforced
      const receipt = { alertId, revision, subscriber: config.subscriber, status, reason, atMs }
      const value = this.#codecs.receipt.encode(receipt)
      if (config.receiptKey === null) return { key: alertId, value }
      const signature = signReceipt(config.receiptKey, receipt, value)
      return { key: alertId, value, headers: { [RECEIPT_SIGNATURE_HEADER]: signature } }
    })
    return [{ topic: topicName(config.topicPrefix, 'receipts'), messages }]
  }
}
