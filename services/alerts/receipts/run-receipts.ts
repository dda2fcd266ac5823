// The receipts service: joins blocks and releases with the receipts of subscribers, measures their delay, and acts on
// blocks without a receipt. Its output and offsets are one Kafka transaction, and events are counted after the commit:
// a kill neither doubles nor loses them.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { KafkaMessage, TopicMessages } from 'kafkajs'
import type { Clock } from '../../core/clock.ts'
import { deadLetterOf, type RejectReason } from '../../core/dead-letters.ts'
import { ReceiptJoin, type JoinEvent, type PlacedReceipt } from '../../core/receipt-join.ts'
import { type Codecs, createCodecs } from '../../core/wire/codecs.ts'
import type { DeadLetter, Receipt } from '../../core/wire/records.ts'
import type { CommittedMessages } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import { openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import {
  createReceiptsTelemetry,
  type ReceiptsTelemetry,
} from '../../platform/metrics/alerts-telemetry.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { openTransactionalConsumer, type TransactionalConsumer } from '../transactional-consumer.ts'
import type { ReceiptsConfig } from './config.ts'
import { isReceiptSigned, RECEIPT_SIGNATURE_HEADER } from './receipt-signature.ts'

/** About 200 MB of alerts. */
const ENTRIES_MAX = 100_000
const HELD_MAX = 10_000
/** A receipt has about a hundred bytes; a much larger message is not one, and would take memory while it waits. */
const RECEIPT_BYTES_MAX = 4_096
const RESENDS_MAX = 3
const CLOCK_SKEW_MS_MAX = 60_000
const TICK_MS_MAX = 1_000
const JUDGED = /^judged=(\d{1,15})$/
/** Names the revision that a message of `alerts-resent` repeats. */
const RESEND_HEADER = 'sluice-resend-of'

export interface ReceiptsOptions {
  readonly config: ReceiptsConfig
  readonly clock: Clock
  readonly log: Logger
  /** Called once everything that existed at the start has been read. */
  readonly onReady?: (metricsPort: number) => void
}

/** Runs until the signal is aborted. @throws SluiceError as `openTransactionalConsumer`, or SLUICE_COMMIT_UNKNOWN. */
export async function runReceipts(options: ReceiptsOptions, signal: AbortSignal): Promise<void> {
  const opened: Closable[] = []
  try {
    await run(options, opened, signal)
  } finally {
    await closeAll(opened.splice(0))
    options.log.info({}, 'The watch over receipts stopped.')
  }
}

async function run(
  options: ReceiptsOptions,
  opened: Closable[],
  signal: AbortSignal,
): Promise<void> {
  const { config, clock, log } = options
  const { topicPrefix, schemaRegistryUrl: url } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const telemetry = createReceiptsTelemetry(config.objectiveMs)
  const reader = await openTransactionalConsumer({
    ...config,
    name: 'sluice-receipts',
    topics: ['alerts', 'alerts-resent', 'receipts'],
    topicsAfter: ['alerts-resent', 'receipts'],
    sinceMs: clock.nowMs() - config.horizonMs,
    log,
  })
  opened.push(reader)
  const metrics = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => ({ isReady: reader.isCaughtUp, details: {} }),
  })
  opened.push(metrics)
  const watch = new Watch(options, createCodecs(content), reader, telemetry)
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const ticking = watch.tickUntil(either).finally(() => {
    // An error of the timer also ends the reading.
    stop.abort()
  })
  ticking.catch(() => undefined)
  try {
    await reader.run(
      (batch) => watch.take(batch),
      either,
      () => {
        log.info({ metricsPort: metrics.port }, 'The watch over receipts follows the topics.')
        options.onReady?.(metrics.port)
      },
    )
  } finally {
    stop.abort()
  }
  await ticking
}

class Watch {
  readonly #options: ReceiptsOptions
  readonly #codecs: Pick<Codecs, 'alert' | 'receipt' | 'deadLetter'>
  readonly #reader: TransactionalConsumer
  readonly #telemetry: ReceiptsTelemetry
  readonly #join: ReceiptJoin

  constructor(
    options: ReceiptsOptions,
    codecs: Pick<Codecs, 'alert' | 'receipt' | 'deadLetter'>,
    reader: TransactionalConsumer,
    telemetry: ReceiptsTelemetry,
  ) {
    const { config } = options
    this.#options = options
    this.#codecs = codecs
    this.#reader = reader
    this.#telemetry = telemetry
    this.#join = new ReceiptJoin(
      {
        waitMs: config.waitMs,
        horizonMs: config.horizonMs,
        objectiveMs: config.objectiveMs,
        resendsMax: config.missing === 'resend' ? RESENDS_MAX : 0,
        subscribers: config.subscribers,
        clockSkewMsMax: CLOCK_SKEW_MS_MAX,
        entriesMax: ENTRIES_MAX,
        heldMax: HELD_MAX,
      },
      Math.max(
        0,
        ...reader.metadata.flatMap((text) => JUDGED.exec(text)?.slice(1).map(Number) ?? []),
      ),
    )
  }

  async take(batch: CommittedMessages): Promise<void> {
    const { topicPrefix } = this.#options.config
    const events: JoinEvent[] = []
    const letters: DeadLetter[] = []
    let notRead = 0
    for (const message of batch.messages) {
      const isAnswered = this.#reader.isAnswered(
        batch.topic,
        batch.partition,
        Number(message.offset),
      )
      if (batch.topic === topicName(topicPrefix, 'receipts')) {
        this.#takeReceipt(batch.partition, message, isAnswered, events, letters)
        continue
      }
      const decoded = this.#codecs.alert.decode(message.value)
      if (!decoded.ok) {
        if (!isAnswered) notRead += 1
      } else if (batch.topic === topicName(topicPrefix, 'alerts')) {
        events.push(...this.#join.takeAlert(decoded.value, isAnswered))
      } else {
        this.#join.takeResent(decoded.value, Number(message.timestamp))
      }
    }
    await this.#reader.answer(batch, this.#messagesOf(events, letters), this.#metadata())
    this.#telemetry.alertsNotRead(notRead)
    this.#telemetry.receiptsUnreadable(letters.length)
    this.#count(events)
  }

  /** Periodically judges blocks that have waited too long. */
  async tickUntil(signal: AbortSignal): Promise<void> {
    const { config, clock } = this.#options
    const everyMs = Math.min(TICK_MS_MAX, Math.ceil(config.waitMs / 4))
    for (;;) {
      await sleepMs(everyMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      const isFollowing = this.#reader.isCaughtUp
      if (isFollowing) await this.#tick()
      const { all: waiting, overdue } = this.#join.waiting(clock.nowMs())
      this.#telemetry.stood({ waiting, overdue, alerts: this.#join.size, isFollowing })
    }
  }

  async #tick(): Promise<void> {
    const events = this.#join.tick(this.#options.clock.nowMs())
    if (events.length === 0) return
    await this.#reader.tell(this.#messagesOf(events, []), this.#metadata())
    this.#count(events)
  }

  #takeReceipt(
    partition: number,
    message: CommittedMessages['messages'][number],
    isAnswered: boolean,
    events: JoinEvent[],
    letters: DeadLetter[],
  ): void {
    const { clock, config } = this.#options
    const value = message.value ?? Buffer.alloc(0)
    const offset = Number(message.offset)
    const timestampMs = Number(message.timestamp)
    const decoded = this.#codecs.receipt.decode(message.value)
    const refuse = (reason: RejectReason, field: string | null): void => {
      if (isAnswered) return
      const topic = topicName(config.topicPrefix, 'receipts')
      const raw = { topic, partition, offset, timestampMs, value }
      letters.push(deadLetterOf(raw, reason, field, config.deadLetterHmacKey, clock.nowMs()))
    }
    if (!decoded.ok) {
      refuse(decoded.reason, decoded.field)
    } else if (value.length > RECEIPT_BYTES_MAX) {
      refuse('too_large', null)
    } else {
      const key = message.key?.toString() ?? null
      const receipt = decoded.value
      const isGenuine = this.#isGenuine(receipt, value, message.headers)
      const placed = { receipt, key, partition, offset, timestampMs, value, isAnswered, isGenuine }
      events.push(...this.#join.takeReceipt(placed, clock.nowMs()))
    }
  }

  #isGenuine(receipt: Receipt, value: Buffer, headers: KafkaMessage['headers']): boolean {
    const { keys } = this.#options.config
    if (keys === null) return true
    const header = headers?.[RECEIPT_SIGNATURE_HEADER]
    // A repeated header is a list, which no subscriber of ours writes.
    if (header === undefined || Array.isArray(header)) return false
    return isReceiptSigned(keys, receipt, value, header.toString())
  }

  #messagesOf(events: readonly JoinEvent[], unreadable: readonly DeadLetter[]): TopicMessages[] {
    const { clock, config } = this.#options
    const letters = [...unreadable]
    const resent: TopicMessages['messages'] = []
    for (const event of events) {
      if (event.kind === 'fault') letters.push(this.#letterOf(event.placed, event.fault))
      if (event.kind !== 'resend') continue
      const { alert } = event
      resent.push({
        key: alert.card,
        value: this.#codecs.alert.encode(alert),
        headers: { [RESEND_HEADER]: `${alert.alertId}.${alert.revision}` },
        timestamp: String(clock.nowMs()),
      })
    }
    const deadLetters = letters.map((letter) => ({
      key: letter.topic,
      value: this.#codecs.deadLetter.encode(letter),
    }))
    return [
      { topic: topicName(config.topicPrefix, 'alerts-resent'), messages: resent },
      { topic: topicName(config.topicPrefix, 'dead-letters'), messages: deadLetters },
    ].filter(({ messages }) => messages.length > 0)
  }

  #letterOf(
    { partition, offset, timestampMs, value }: PlacedReceipt,
    fault: Extract<JoinEvent, { kind: 'fault' }>['fault'],
  ): DeadLetter {
    const { clock, config } = this.#options
    const topic = topicName(config.topicPrefix, 'receipts')
    const raw = { topic, partition, offset, timestampMs, value }
    return deadLetterOf(raw, fault, null, config.deadLetterHmacKey, clock.nowMs())
  }

  #metadata(): string {
    return `judged=${this.#join.judgedToMs}`
  }

  #count(events: readonly JoinEvent[]): void {
    for (const event of events) this.#countOne(event)
  }

  #countOne(event: JoinEvent): void {
    const { log } = this.#options
    switch (event.kind) {
      case 'receipt':
        this.#telemetry.receiptCounted(event.action, event.receipt.status)
        if (event.sinceRecordMs !== null && event.sinceDecisionMs !== null)
          this.#telemetry.blockApplied(event.sinceRecordMs, event.sinceDecisionMs)
        return
      case 'repeated':
        this.#telemetry.receiptRepeated()
        return
      case 'fault':
        this.#telemetry.receiptRefused(event.fault)
        return
      case 'result':
        this.#telemetry.blockJudged(event.result)
        return
      case 'resend': {
        const { alertId, revision } = event.alert
        log.warn(
          { alertId, revision, attempt: event.attempt },
          'A block without receipt was sent again.',
        )
        this.#telemetry.blockResent()
        return
      }
      case 'lapse': {
        const { alertId, revision } = event.alert
        log.warn({ alertId, revision }, 'A block has no receipt.')
        this.#telemetry.blockLapsed()
        return
      }
      case 'forgotten':
        this.#telemetry.alertForgotten()
    }
  }
}
