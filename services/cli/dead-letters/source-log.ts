// What a source topic holds about letters: the messages at their positions, and the annotations of what was sent again
// already. One pass over the topic finds both, from the oldest letter on, and keeps only what is asked for.
//
// Where the pass begins. A message that was sent again stands behind its original in the same partition, or (when it
// was in the wrong one) in another partition with a time stamp that is not before its letter: the sender sees to
// that. So each partition is read from its oldest letter, or from the oldest letter's time, whichever comes first.

import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import type { Admin, KafkaMessage } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { formatPosition, redrivenFromOf } from '../../core/redrive.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import { REFUSED_KEY } from '../../platform/kafka/compression.ts'
import {
  placeKey,
  readToEnd,
  type CommittedMessages,
} from '../../platform/kafka/committed-reader.ts'
import { readLogSince } from '../../platform/kafka/log-ends.ts'
import type { SourceMessage } from './redrive-plan.ts'

/** Clocks of brokers (which may stamp records) and scorers may differ by this much. */
const CLOCK_SKEW_MS_MAX = 3_600_000
const PROGRESS_MESSAGES = 1_000_000

/** Memory for the messages that letters are about, bytes. */
export const HELD_BYTES_MAX = 256 * 1024 * 1024

/** Where a pass begins, by `topic/partition`, and how far back it proves what was sent. */
export interface ScanStart {
  readonly startAt: ReadonlyMap<string, number>
  /** Ends of the partitions when this was asked: where the next pass may begin. */
  readonly ends: ReadonlyMap<string, number>
  /** Partitions that are read from their first message on, which retention may have moved. */
  readonly cutOff: ReadonlySet<string>
}

/** Asks the broker where the pass for these letters of one topic begins. */
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

/** What passes over one source topic have found so far. */
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

  /** The message of a letter, or null when it is not there. */
  messageOf(letter: DeadLetter): SourceMessage | null {
    return this.#messages.get(formatPosition(letter)) ?? null
  }

  /** Where the letter's message was sent again, or null. */
  sentTo(letter: DeadLetter): string | null {
    return this.#sentTo.get(formatPosition(letter)) ?? null
  }

  /** True when no mark for the letter can have been in this partition and be gone. */
  isCovered(letter: DeadLetter, partition: number): boolean {
    const key = placeKey(this.topic, partition)
    if (partition === letter.partition || !this.#cutOff.has(key)) return true
    const firstMs = this.#firstTimestampsMs.get(key)
    return firstMs !== undefined && firstMs < letter.decidedAtMs - CLOCK_SKEW_MS_MAX
  }

  /**
   * Reads on from `start` to the end that the topic has now.
   * @throws SluiceError SLUICE_USAGE when more is asked for than memory is set aside for, and what readToEnd throws.
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

  /** Reads the letter's message and no further. Throws as `scan` does. */
  async readOne(letter: DeadLetter, { ends }: ScanStart, signal: AbortSignal): Promise<void> {
    const key = placeKey(this.topic, letter.partition)
    if (letter.offset >= (ends.get(key) ?? 0)) return
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

/** Copied, so that the batch that it came in can be freed. */
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
