// Reads the dead-letters topic one letter at a time, so that memory does not grow with the topic.

import type { Admin, Kafka, KafkaMessage } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { type MessagePosition, formatPosition, redrivenFromOf } from '../../core/redrive.ts'
import { type RejectReason, sampleOf } from '../../core/dead-letters.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import {
  type CommittedMessages,
  placeKey,
  readToEnd,
} from '../../platform/kafka/committed-reader.ts'
import { REFUSED_KEY } from '../../platform/kafka/compression.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka } from '../../platform/kafka/kafka-failure.ts'
import { readLogSince } from '../../platform/kafka/log-ends.ts'
import { topicName } from '../../platform/kafka/topics.ts'

/** Connection and settings for reading the stream. */
export interface StreamAccess extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
}

/** A letter, and the headers of its own message. */
export interface FoundLetter {
  readonly letter: DeadLetter
  /** Position of the message that the original repeats; null for a first failure. */
  readonly redrivenFrom: MessagePosition | null
}

/** Counts of a reading, besides the letters that it passed on. */
export interface LettersRead {
  readonly matching: number
  readonly others: number
  /** Messages of the topic that this version cannot read as letters. */
  readonly unreadable: number
}

/**
 * Passes on every committed letter that matches the filter, those of one source topic in the order in which they were
 * written. @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, errors of `onLetter`, or the
 * signal's reason.
 */
export async function readLetters(
  { brokers, security, topicPrefix, codecs }: StreamAccess,
  filter: LetterFilter,
  onLetter: (found: FoundLetter) => void,
  signal?: AbortSignal,
): Promise<LettersRead> {
  const seen = { matching: 0, others: 0, unreadable: 0 }
  const topics = [topicName(topicPrefix, 'dead-letters')]
  await readToEnd(
    { brokers, security, name: 'sluice-dead-letters', topics, startAt: 'beginning' },
    ({ messages }) => {
      for (const { value, headers } of messages) {
        const decoded = codecs.deadLetter.decode(value)
        if (!decoded.ok) seen.unreadable += 1
        else if (!isWanted(decoded.value, filter)) seen.others += 1
        else {
          seen.matching += 1
          const letter = decoded.value
          onLetter({ letter, redrivenFrom: redrivenFromOf(headers, letter.topic) })
        }
      }
    },
    signal,
  )
  return seen
}

// Finds the records of a source topic that belong to letters: the messages at their positions, and the headers of
// messages that were sent again. One pass over the topic finds both, from the oldest letter on, and keeps only those
// records. Start of the pass: a message that was sent again comes after its original in the same partition, or (when it
// was in the wrong one) in another partition with a time stamp that is not before its letter; the sender ensures that.
// So each partition is read from its oldest letter, or from the oldest letter's time, whichever comes first.

/** Clocks of brokers (which may stamp records) and scorers may differ by this much. */
const CLOCK_SKEW_MS_MAX = 3_600_000
const PROGRESS_MESSAGES = 1_000_000

/** Most bytes of the letters' messages in memory. */
const HELD_BYTES_MAX = 256 * 1024 * 1024

/** Start of a pass, by `topic/partition`. */
export interface ScanStart {
  readonly startAt: ReadonlyMap<string, number>
  /** Ends of the partitions at this time; the next pass may begin there. */
  readonly ends: ReadonlyMap<string, number>
  /** Partitions read from their first message on, of which retention may have removed earlier ones. */
  readonly cutOff: ReadonlySet<string>
}

/** Asks the broker for the start of the pass over one topic for these letters. */
export async function findScanStart(
  admin: Admin,
  topic: string,
  letters: readonly DeadLetter[],
): Promise<ScanStart> {
  const oldestMs = letters.reduce((least, each) => Math.min(least, each.decidedAtMs), Infinity)
  const fromMs = Math.max(0, oldestMs - CLOCK_SKEW_MS_MAX)
  const ranges = await readLogSince(admin, topic, fromMs)
  const startAt = new Map<string, number>()
  const ends = new Map<string, number>()
  const cutOff = new Set<string>()
  for (const [partition, { low, high, since }] of ranges) {
    const key = placeKey(topic, partition)
    const timed = since ?? high
    startAt.set(key, Math.max(low, Math.min(timed, oldestOffset(letters, partition))))
    ends.set(key, high)
    if (low > 0 && timed <= low) cutOff.add(key)
  }
  return { startAt, ends, cutOff }
}

function oldestOffset(letters: readonly DeadLetter[], partition: number): number {
  return letters.reduce(
    (least, each) => (each.partition === partition ? Math.min(least, each.offset) : least),
    Infinity,
  )
}

/** Results of the passes over one source topic. */
export class SourceLog {
  readonly topic: string
  readonly #connection: KafkaConnection
  readonly #wanted: ReadonlySet<string>
  readonly #messages = new Map<string, SourceMessage>()
  readonly #sentTo = new Map<string, string>()
  readonly #firstTimestampsMs = new Map<string, number>()
  #cutOff: ReadonlySet<string> = new Set()
  #heldBytes = 0
  #seen = 0

  constructor(connection: KafkaConnection, topic: string, letters: readonly DeadLetter[]) {
    const { brokers, security } = connection
    this.#connection = { brokers, security }
    this.topic = topic
    this.#wanted = new Set(letters.map(formatPosition))
  }

  /** The message of a letter, or null when it is not in the topic. */
  messageOf(letter: DeadLetter): SourceMessage | null {
    return this.#messages.get(formatPosition(letter)) ?? null
  }

  /** Position of the message that repeats the letter's, or null. */
  sentTo(letter: DeadLetter): string | null {
    return this.#sentTo.get(formatPosition(letter)) ?? null
  }

  /** True when no earlier redrive of the letter into this partition can have been removed by retention. */
  isCovered(letter: DeadLetter, partition: number): boolean {
    const key = placeKey(this.topic, partition)
    if (partition === letter.partition || !this.#cutOff.has(key)) return true
    const firstMs = this.#firstTimestampsMs.get(key)
    return firstMs !== undefined && firstMs < letter.decidedAtMs - CLOCK_SKEW_MS_MAX
  }

  /**
   * Reads from `start` to the current end of the topic.
   * @throws SluiceError SLUICE_USAGE when the messages exceed the memory limit, and errors of readToEnd.
   */
  async scan(
    start: ScanStart,
    onProgress: (messages: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#cutOff = new Set([...this.#cutOff, ...start.cutOff])
    await readToEnd(
      {
        ...this.#connection,
        name: 'sluice-redrive-scan',
        topics: [this.topic],
        startAt: start.startAt,
      },
      ({ partition, messages }) => {
        for (const message of messages) this.#see(partition, message)
        const before = Math.floor(this.#seen / PROGRESS_MESSAGES)
        this.#seen += messages.length
        if (Math.floor(this.#seen / PROGRESS_MESSAGES) > before) onProgress(this.#seen)
      },
      signal,
    )
  }

  /** Reads only the letter's message. Throws as `scan` does. */
  async readOne(letter: DeadLetter, { ends }: ScanStart, signal: AbortSignal): Promise<void> {
    const key = placeKey(this.topic, letter.partition)
    const end = ends.get(key)
    if (end === undefined || letter.offset >= end) return
    const found = new AbortController()
    const reader = {
      ...this.#connection,
      name: 'sluice-dead-letters-show',
      topics: [this.topic],
      startAt: new Map([[key, letter.offset]]),
    }
    const see = ({ partition, messages }: CommittedMessages): void => {
      for (const message of messages.slice(0, 1)) this.#see(partition, message)
      found.abort()
    }
    try {
      await readToEnd(reader, see, AbortSignal.any([signal, found.signal]))
    } catch (error) {
      if (signal.aborted || !found.signal.aborted) throw error
    }
  }

  #see(partition: number, message: KafkaMessage): void {
    const { topic } = this
    const key = placeKey(topic, partition)
    const position = formatPosition({ topic, partition, offset: Number(message.offset) })
    if (!this.#firstTimestampsMs.has(key)) {
      this.#firstTimestampsMs.set(key, Number(message.timestamp))
    }
    const redrivenFrom = redrivenFromOf(message.headers, topic)
    if (redrivenFrom !== null) {
      const from = formatPosition(redrivenFrom)
      if (this.#wanted.has(from)) this.#sentTo.set(from, position)
    }
    if (!this.#wanted.has(position) || this.#messages.has(position)) return
    const held = heldOf(message)
    this.#heldBytes += held.value?.length ?? 0
    if (this.#heldBytes > HELD_BYTES_MAX) throw tooMuch(topic)
    this.#messages.set(position, { ...held, redrivenFrom })
  }
}

/** Copied, so that the batch that contains it can be freed. */
function heldOf(message: KafkaMessage): Omit<SourceMessage, 'redrivenFrom'> {
  const { key, value, headers = {}, timestamp } = message
  return {
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers,
    timestampMs: Number(timestamp),
    isRefused: value === null && key !== null && key.toString('latin1') === REFUSED_KEY,
  }
}

function tooMuch(topic: string): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `The letters of ${topic} are about more than ${HELD_BYTES_MAX / 1_048_576} MiB of messages; choose fewer ` +
      'with --since, --until, --reason or --partition.',
  )
}

// Selects the dead letters of a command. Times are those of the letters, not of the original messages.

/** All conditions must hold; null matches everything. */
export interface LetterFilter {
  /** Any of these. Letters hold reasons as text, since later versions may write reasons that this one does not know. */
  readonly reasons: readonly RejectReason[] | null
  /** From this time on, by `decidedAtMs`. */
  readonly sinceMs: number | null
  /** Before this time. */
  readonly untilMs: number | null
  /** Full name of the source topic. */
  readonly topic: string | null
  readonly partition: number | null
  /** Offsets of the source topic. */
  readonly offsetMin: number | null
  readonly offsetMax: number | null
}

/** Matches every letter. */
export const EVERY_LETTER: LetterFilter = {
  reasons: null,
  sinceMs: null,
  untilMs: null,
  topic: null,
  partition: null,
  offsetMin: null,
  offsetMax: null,
}

/** True when the letter matches the filter. */
export function isWanted(letter: DeadLetter, filter: LetterFilter): boolean {
  const { reasons, sinceMs, untilMs, topic, partition, offsetMin, offsetMax } = filter
  return (
    (reasons === null || reasons.some((reason) => reason === letter.reason)) &&
    (sinceMs === null || letter.decidedAtMs >= sinceMs) &&
    (untilMs === null || letter.decidedAtMs < untilMs) &&
    (topic === null || letter.topic === topic) &&
    (partition === null || letter.partition === partition) &&
    (offsetMin === null || letter.offset >= offsetMin) &&
    (offsetMax === null || letter.offset <= offsetMax)
  )
}

// The Kafka client of the dead-letter commands. Its failures are thrown with a remedy, and its own log is silent.

const CONNECTION_TIMEOUT_MS = 3_000

/** CONCURRENT_TRANSACTIONS right after a commit is normal; kafkajs' own first wait would be 300 ms. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 500, retries: 16 } as const

/** Connects nothing yet; admin clients and producers made from it do. */
export function openLettersKafka(connection: KafkaConnection): Kafka {
  return openKafka(connection, {
    clientId: 'sluice-dead-letters',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
}

/** @throws SluiceError for every client error: the refusal of Kafka, or SLUICE_BROKER_UNAVAILABLE. */
export async function asking<Value>(
  connection: KafkaConnection,
  use: () => Promise<Value>,
): Promise<Value> {
  try {
    return await use()
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const refusal = await explainKafka(connection, error)
    if (refusal !== null) throw refusal
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `Kafka at ${connection.brokers.join(',')} cannot be asked (${problem}); start it with "sluice up", or give ` +
        'its address in SLUICE_KAFKA_BROKERS.',
      { cause: error },
    )
  }
}

// Configuration of the dead-letter commands, in addition to that of every reader of topics.

/** Settings that a redrive shares with the scorer, so that it predicts the scorer's verdict. */
interface RedriveConfig {
  /** Most that an event time may lie ahead of its record's time stamp, ms. */
  readonly eventAheadMsMax: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming the bad variable. */
export function loadRedriveConfig(
  env: Readonly<Record<string, string | undefined>>,
): RedriveConfig {
  const read = new EnvReader(env)
  const config = { eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX') }
  read.throwIfInvalid()
  return Object.freeze(config)
}

/** The fields of a source message that a redrive needs. */
export interface SourceMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>
  readonly timestampMs: number
  readonly redrivenFrom: MessagePosition | null
  /** True when its batch could not be decompressed. */
  readonly isRefused: boolean
}

/** False for another message at the same offset, as after a topic was recreated. */
export function isSameMessage(letter: DeadLetter, { value, timestampMs }: SourceMessage): boolean {
  const payload = value ?? Buffer.alloc(0)
  return (
    payload.length === letter.payloadBytes &&
    timestampMs === letter.timestampMs &&
    sampleOf(payload) === letter.sample
  )
}
