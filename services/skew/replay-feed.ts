// Feeds a replay from Kafka: transactions and labels as the scorer reads them, and committed decision batches. A
// partition that runs ahead is paused until the replay has caught up, so memory is bounded whatever the order in which
// Kafka delivers partitions.

import type { Admin, KafkaMessage } from 'kafkajs'
import type { RatesByDigest } from '../platform/rate-store.ts'
import { SluiceError } from '../core/errors.ts'
import { LogReplay } from '../core/features/provenance/log-replay.ts'
import type { PartitionBegin } from '../core/features/provenance/replay-partition.ts'
import {
  type RecordedBatch,
  recordedBatchOf,
  type ReplayEntry,
  type ReplayLabel,
} from '../core/features/provenance/replay-records.ts'
import type { OnCause, OnReplayed } from '../core/features/provenance/replay-rows.ts'
import type { ReplaySample } from '../core/features/provenance/replay-sample.ts'
import { partitionOfText } from '../core/murmur2.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import {
  type CommittedMessages,
  follow,
  type PausePartition,
  placeKey,
} from '../platform/kafka/committed-reader.ts'
import { REFUSED_KEY } from '../platform/kafka/compression.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../platform/kafka/kafka-failure.ts'
import { type LogEnds, readLogEnds, readLogSince } from '../platform/kafka/log-ends.ts'
import { readPartitionCount, topicName } from '../platform/kafka/topics.ts'

export interface FeedOptions extends KafkaConnection {
  /** Client name for the broker's logs. */
  readonly name: string
  readonly topicPrefix: string
  readonly codecs: Codecs
  readonly rates: RatesByDigest
  /** Must equal the scorer's setting: an event further ahead of its record time is a dead letter. */
  readonly eventAheadMsMax: number
  /** Start at the first retained message, or at records of this time, ms. */
  readonly from: 'beginning' | number
  /** `end`: to the current end of the topics. `stop`: until the signal. */
  readonly until: 'end' | 'stop'
  readonly sample: ReplaySample
  readonly onReplayed: OnReplayed
  readonly onCause?: OnCause
  /** Limit on cards and partial aggregates in memory before the sample is halved; REPLAY_VALUES_MAX by default. */
  readonly valuesMax?: number
  /** Awaited after each step, so that slow asynchronous work slows down reading. */
  readonly settle?: () => Promise<void>
  /** Called once the start offsets are fixed. */
  readonly onReady?: (status: FeedStatus) => void
  /** Called with decoded messages before anything that needs them is replayed. */
  readonly onTaken?: (taken: Taken) => void
  /** Called after each step; returning true ends reading. */
  readonly onStep?: (replay: LogReplay, messages: number) => boolean
}

/** Decoded messages of one partition. */
export type Taken =
  | {
      readonly kind: 'transactions'
      readonly partition: number
      readonly entries: readonly ReplayEntry[]
    }
  | { readonly kind: 'labels'; readonly partition: number; readonly labels: readonly ReplayLabel[] }
  | {
      readonly kind: 'decisions'
      readonly partition: number
      readonly blocks: readonly RecordedBatch[]
    }

/** Progress of a running feed. */
export interface FeedStatus {
  readonly replay: LogReplay
  /** Everything in the topics at the start has been recomputed. */
  readonly isCaughtUp: boolean
  readonly unreadableBatches: number
}

/** Result of a feed. */
export interface FedReplay {
  readonly replay: LogReplay
  readonly messages: number
  /** Messages of the decisions topic that this version cannot decode. */
  readonly unreadableBatches: number
}

/**
 * Reads and replays until the end or the signal.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or what a callback throws.
 */
export async function feedReplay(options: FeedOptions, signal: AbortSignal): Promise<FedReplay> {
  const ranges = await readFeedRanges(options, options.topicPrefix, options.from)
  const feed = new Feed(options, ranges)
  if (options.until === 'end' && feed.isAtEnd) return feed.close()
  const { brokers, security, name, topicPrefix } = options
  const topics = FED_TOPICS.map((topic) => topicName(topicPrefix, topic))
  await follow(
    {
      brokers,
      security,
      name,
      topics,
      startAt: ranges.startAt,
      onAdvance: (topic, partition, next) => {
        feed.advanced(topic, partition, next)
      },
    },
    async (batch, pause) => {
      await feed.learnRates(batch)
      feed.take(batch, pause)
      await options.settle?.()
    },
    AbortSignal.any([signal, feed.stopped]),
    () => {
      options.onReady?.(feed)
    },
  )
  return feed.close()
}

class Feed {
  readonly replay: LogReplay
  readonly #options: FeedOptions
  readonly #ranges: FeedRanges
  readonly #kinds: ReadonlyMap<string, FedTopic>
  readonly #stop = new AbortController()
  readonly #paused = new Map<
    string,
    { readonly kind: FedTopic; readonly partition: number; readonly resume: () => void }
  >()
  /** By topic, partitions that have not reached their end at the start. */
  readonly #open: Readonly<Record<FedTopic, Map<string, number>>>
  readonly #batchesTo = new Map<number, number>()
  #isCaughtUp = false
  #messages = 0
  #unreadableBatches = 0

  constructor(options: FeedOptions, ranges: FeedRanges) {
    this.#options = options
    this.#ranges = ranges
    const { codecs, topicPrefix, rates, sample } = options
    this.#kinds = new Map(FED_TOPICS.map((kind) => [topicName(topicPrefix, kind), kind]))
    this.#open = { transactions: new Map(), labels: new Map(), decisions: new Map() }
    for (const [key, { kind, start, end }] of ranges.partitions) {
      if (start < end) this.#open[kind].set(key, end)
    }
    this.replay = new LogReplay({
      ratesOf: (digest) => rates.find(digest),
      sample,
      begins: ranges.begins,
      readRecord: (record) => {
        const message = codecs.decodeTransactionMessage(record)
        return message.kind === 'transaction' ? message.value : null
      },
      onReplayed: options.onReplayed,
      onCause: options.onCause,
      ...(options.valuesMax !== undefined && { valuesMax: options.valuesMax }),
    })
  }

  get isCaughtUp(): boolean {
    this.#isCaughtUp ||= this.isAtEnd
    return this.#isCaughtUp
  }

  get unreadableBatches(): number {
    return this.#unreadableBatches
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  /** All decisions are read, and none waits for messages not yet read. */
  get isAtEnd(): boolean {
    const { transactions, labels, decisions } = this.#open
    if (decisions.size > 0) return false
    return this.replay.waitingBatches === 0 || transactions.size + labels.size === 0
  }

  take({ topic, partition, messages }: CommittedMessages, pause: PausePartition): void {
    const kind = this.#kinds.get(topic)
    if (kind === undefined) return
    this.#messages += messages.length
    const taken = this.#decode(kind, partition, messages)
    this.#options.onTaken?.(taken)
    if (taken.kind === 'transactions') this.replay.addEntries(partition, taken.entries)
    else if (taken.kind === 'labels') this.replay.addLabels(partition, taken.labels)
    else for (const block of taken.blocks) this.replay.addBatch(block)
    this.replay.advance()
    const key = placeKey(topic, partition)
    if (this.replay.isFull(kind, partition)) {
      this.#paused.set(key, { kind, partition, resume: pause() })
    }
    this.#resume()
    if (this.#options.onStep?.(this.replay, this.#messages) === true) this.#stop.abort()
  }

  advanced(topic: string, partition: number, next: number): void {
    const kind = this.#kinds.get(topic)
    if (kind === undefined) return
    const key = placeKey(topic, partition)
    if (next >= (this.#open[kind].get(key) ?? Infinity)) this.#open[kind].delete(key)
    if (this.#options.until === 'end' && this.isAtEnd) this.#stop.abort()
  }

  close(): FedReplay {
    if (this.#options.until === 'end' && this.isAtEnd) this.replay.finish()
    return {
      replay: this.replay,
      messages: this.#messages,
      unreadableBatches: this.#unreadableBatches,
    }
  }

  #resume(): void {
    for (const [key, { kind, partition, resume }] of this.#paused) {
      if (this.replay.isFull(kind, partition)) continue
      this.#paused.delete(key)
      resume()
    }
  }

  /** Reads the tables of these decision batches that are new. Tables change rarely: one between both ends is not expected. */
  async learnRates({ topic, messages }: CommittedMessages): Promise<void> {
    if (this.#kinds.get(topic) !== 'decisions') return
    for (const message of new Set([messages[0], messages.at(-1)])) {
      const decoded = this.#options.codecs.decisionBatch.decode(message?.value ?? null)
      if (decoded.ok) await this.#options.rates.learn(decoded.value.ratesDigest)
    }
  }

  #decode(kind: FedTopic, partition: number, messages: readonly KafkaMessage[]): Taken {
    switch (kind) {
      case 'transactions':
        return {
          kind,
          partition,
          entries: messages.map((message) => this.#entryOf(partition, message)),
        }
      case 'labels':
        return { kind, partition, labels: messages.map((each) => this.#labelOf(partition, each)) }
      case 'decisions':
        return { kind, partition, blocks: this.#blocksOf(partition, messages) }
    }
  }

  /** Applies the same checks as a partition of the scorer, in the same order. */
  #entryOf(partition: number, message: KafkaMessage): ReplayEntry {
    const { codecs, rates, eventAheadMsMax, sample } = this.#options
    const offset = Number(message.offset)
    const rejected = { kind: 'rejected', offset } as const
    if (isRefused(message)) return rejected
    const decoded = codecs.decodeTransactionMessage(message.value)
    if (decoded.kind === 'reject') return rejected
    if (decoded.kind === 'watermark') return { kind: 'watermark', offset, timeMs: decoded.timeMs }
    const { card, amountMinor, currency, eventTimeMs } = decoded.value
    if (!this.#isOurs(card, partition)) return rejected
    if (eventTimeMs > Number(message.timestamp) + eventAheadMsMax) return rejected
    const record = sample.hasCard(card) ? message.value : null
    const hasRate = rates.newest.toReferenceMinor(amountMinor, currency, eventTimeMs) !== null
    return { kind: 'transaction', offset, transaction: decoded.value, record, hasRate }
  }

  #labelOf(partition: number, message: KafkaMessage): ReplayLabel {
    const offset = Number(message.offset)
    const decoded = isRefused(message)
      ? null
      : this.#options.codecs.decodeLabelMessage(message.value)
    if (decoded?.kind === 'watermark') return { kind: 'watermark', offset, timeMs: decoded.timeMs }
    if (decoded?.kind === 'label' && this.#isOurs(decoded.value.card, partition)) {
      return { kind: 'label', offset, label: decoded.value }
    }
    return { kind: 'rejected', offset }
  }

  #blocksOf(partition: number, messages: readonly KafkaMessage[]): readonly RecordedBatch[] {
    const blocks: RecordedBatch[] = []
    for (const { offset: text, value } of messages) {
      const offset = Number(text)
      if (offset < (this.#batchesTo.get(partition) ?? 0)) continue
      this.#batchesTo.set(partition, offset + 1)
      const decoded = this.#options.codecs.decisionBatch.decode(value)
      if (!decoded.ok) this.#unreadableBatches += 1
      else if (decoded.value.partition >= this.#ranges.begins.length) throw tooManyPartitions()
      else blocks.push(recordedBatchOf(decoded.value))
    }
    return blocks
  }

  #isOurs(card: string, partition: number): boolean {
    return partitionOfText(card, this.#ranges.begins.length) === partition
  }
}

function isRefused({ key, value }: KafkaMessage): boolean {
  return value === null && key !== null && key.toString('latin1') === REFUSED_KEY
}

function tooManyPartitions(): SluiceError {
  return new SluiceError(
    'SLUICE_TOPICS_INVALID',
    'The decisions topic names partitions that the transactions topic does not have; check the topic prefix.',
  )
}

/** Topics read by a replay. */
export const FED_TOPICS = ['transactions', 'labels', 'decisions'] as const
export type FedTopic = (typeof FED_TOPICS)[number]

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

interface PartitionRange {
  readonly kind: FedTopic
  readonly start: number
  readonly end: number
}

export interface FeedRanges {
  readonly startAt: ReadonlyMap<string, number>
  readonly partitions: ReadonlyMap<string, PartitionRange>
  /** By partition. */
  readonly begins: readonly PartitionBegin[]
}

/**
 * Reads the start offset and the current end of each partition.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID.
 */
export async function readFeedRanges(
  connection: KafkaConnection,
  topicPrefix: string,
  from: 'beginning' | number,
): Promise<FeedRanges> {
  const kafka = openKafka(connection, {
    clientId: 'sluice-replay',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const partitionCount = await readPartitionCount(admin, topicPrefix, FED_TOPICS)
    const partitions = new Map<string, PartitionRange>()
    for (const kind of FED_TOPICS) {
      const topic = topicName(topicPrefix, kind)
      for (const [partition, { low: start, high: end }] of await readRange(admin, topic, from)) {
        partitions.set(placeKey(topic, partition), { kind, start, end })
      }
    }
    const at = (kind: FedTopic, partition: number): PartitionRange =>
      partitions.get(placeKey(topicName(topicPrefix, kind), partition)) ?? {
        kind,
        start: 0,
        end: 0,
      }
    const begins = Array.from({ length: partitionCount }, (_, partition): PartitionBegin => {
      const { start, end } = at('transactions', partition)
      const labelStart = at('labels', partition).start
      return {
        nextOffset: start,
        labelNextOffset: labelStart,
        isWhole: start === 0 && labelStart === 0,
        endOffset: end,
      }
    })
    const startAt = new Map([...partitions].map(([key, { start }]) => [key, start]))
    return { startAt, partitions, begins }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw await kafkaUnreadable(connection, error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** The offsets of a topic from `from` on. */
async function readRange(
  admin: Admin,
  topic: string,
  from: 'beginning' | number,
): Promise<ReadonlyMap<number, LogEnds>> {
  if (from === 'beginning') return readLogEnds(admin, topic)
  const logs = await readLogSince(admin, topic, from)
  return new Map(
    [...logs].map(([partition, { low, high, since }]) => [
      partition,
      { low: Math.max(low, since ?? low), high },
    ]),
  )
}
