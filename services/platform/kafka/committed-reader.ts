// Reads topics as a subscriber sees them: committed messages only, in offset order, independent of every other group.
// The reader's position is tracked here and not by the group: it is the end of each batch that kafkajs has processed,
// including batches of control records, which reach the event but never a handler. So the end is detected exactly,
// reading continues after a rebalance where it was, and nothing is delivered twice.

import { randomUUID } from 'node:crypto'
import type { Admin, Batch, Consumer, Kafka, KafkaMessage } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { within } from '../within.ts'
import { registerCompressionCodecs } from './compression.ts'
import { coordinatorRefusal } from './coordinator-refusal.ts'
import { openKafka } from './kafka-client.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { kafkaUnreadable } from './kafka-failure.ts'
import { readLogEnds, type LogEnds } from './log-ends.ts'

/** Longest wait of a fetch for messages; new ones end the wait at once. */
const FETCH_WAIT_MS = 100
const CONNECTION_TIMEOUT_MS = 3_000
/**
 * kafkajs finishes its retries before it closes, which takes half a minute while brokers are away. An abandoned group
 * expires.
 */
const END_MS_MAX = 2_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 } as const

/** Committed messages of one partition, in offset order. */
export interface CommittedMessages {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly KafkaMessage[]
}

/** Stops fetching the batch's partition until the returned function is called. */
export type PausePartition = () => () => void

/** Called one at a time; the next messages are fetched once it is done, so memory is bounded. */
export type OnCommitted = (batch: CommittedMessages, pause: PausePartition) => void | Promise<void>

export interface CommittedReaderOptions extends KafkaConnection {
  /** Prefix of the name of the reader's own group. */
  readonly name: string
  readonly topics: readonly string[]
  /**
   * `now` skips messages that are in the topics when the reader starts. A map gives the first offset by
   * `topic/partition`; other partitions are not read, and messages that retention has removed are not waited for.
   */
  readonly startAt: 'beginning' | 'now' | ReadonlyMap<string, number>
  /** Called when everything below `next` has been read, including control records, which no handler sees. */
  readonly onAdvance?: (topic: string, partition: number, next: number) => void
}

/**
 * Reads up to the end that a read-committed consumer sees at the call. Records behind a transaction that is open then
 * are left out.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, errors of `onCommitted`, or the signal's
 * reason.
 */
export async function readToEnd(
  options: CommittedReaderOptions,
  onCommitted: OnCommitted,
  signal?: AbortSignal,
): Promise<void> {
  await withReader(options, onCommitted, async (reader) => {
    if (reader.isAtEnd) return
    await reader.run(signal, true)
    signal?.throwIfAborted()
  })
}

/**
 * Reads until the signal is aborted. `onReady` is called once the reader's position is fixed: from then on nothing is
 * missed.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or errors of `onCommitted`.
 */
export async function follow(
  options: CommittedReaderOptions,
  onCommitted: OnCommitted,
  signal: AbortSignal,
  onReady: () => void = () => undefined,
): Promise<void> {
  await withReader(options, onCommitted, async (reader) => {
    onReady()
    await reader.run(signal, false)
  })
}

async function withReader(
  options: CommittedReaderOptions,
  onCommitted: OnCommitted,
  use: (reader: Reader) => Promise<void>,
): Promise<void> {
  registerCompressionCodecs()
  const kafka = openKafka(options, {
    clientId: options.name,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  const groupId = `${options.name}-${randomUUID()}`
  try {
    await connected(options, () => admin.connect())
    const places = await connected(options, () => readPlaces(admin, options))
    await use(new Reader(kafka, groupId, places, options, onCommitted))
  } finally {
    // A group that cannot be deleted now expires by itself; the outcome of the reading counts.
    await ended(
      admin
        .deleteGroups([groupId])
        .catch(() => undefined)
        .then(() => admin.disconnect()),
    )
  }
}

/** Waits for at most END_MS_MAX, and ignores failures. */
async function ended(work: Promise<unknown>): Promise<void> {
  await within(END_MS_MAX, work).catch(() => undefined)
}

interface Place {
  next: number
  readonly end: number
}

/** Settled by the first of signal, end and failure. */
class Ending {
  readonly promise: Promise<void>
  resolve!: () => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // It may be rejected before anything awaits it.
    this.promise.catch(() => undefined)
  }
}

type Places = ReadonlyMap<string, Place>

class Reader {
  readonly #kafka: Kafka
  readonly #consumer: Consumer
  readonly #places: Places
  readonly #options: CommittedReaderOptions
  readonly #onCommitted: OnCommitted
  #hasFailed = false
  #isEnded = false
  /** The running call of `onCommitted`, which is awaited however long it takes. */
  #delivering: Promise<void> = Promise.resolve()

  constructor(
    kafka: Kafka,
    groupId: string,
    places: Places,
    options: CommittedReaderOptions,
    onCommitted: OnCommitted,
  ) {
    this.#places = places
    this.#options = options
    this.#onCommitted = onCommitted
    this.#kafka = kafka
    this.#consumer = kafka.consumer({
      groupId,
      readUncommitted: false,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: RETRY,
    })
  }

  get isAtEnd(): boolean {
    for (const { next, end } of this.#places.values()) if (next < end) return false
    return true
  }

  /** Resolves at the signal, or at the end if `untilEnd`. */
  async run(signal: AbortSignal | undefined, untilEnd: boolean): Promise<void> {
    if (signal?.aborted === true) return
    const consumer = this.#consumer
    const ending = new Ending()
    const stop = (): void => {
      ending.resolve()
    }
    signal?.addEventListener('abort', stop, { once: true })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (payload.restart) return
      const refusal = coordinatorRefusal(this.#kafka, payload.error)
      void kafkaUnreadable(this.#options, refusal ?? payload.error).then(ending.reject)
    })
    // At this event the group exists and nothing is fetched yet, so every join seeks to the positions here.
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
        for (const partition of partitions) this.#seek(topic, partition)
      }
    })
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (this.#isEnded) return
      const next = Number(payload.lastOffset) + 1
      this.#advance(payload.topic, payload.partition, next)
      this.#options.onAdvance?.(payload.topic, payload.partition, next)
      if (untilEnd && this.isAtEnd) stop()
    })
    try {
      await connected(this.#options, () => consumer.connect())
      await consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatch: async (payload) => {
          const { batch } = payload
          if (payload.isStale()) return
          try {
            this.#delivering = this.#deliver(batch, () => payload.pause())
            await this.#delivering
          } catch (error) {
            this.#hasFailed = true
            ending.reject(error)
          }
          await payload.heartbeat()
        },
      })
      await ending.promise
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#isEnded = true
      await this.#delivering.catch(() => undefined)
      await ended(consumer.disconnect())
    }
  }

  async #deliver(
    { topic, partition, messages: fetched }: Batch,
    pause: PausePartition,
  ): Promise<void> {
    if (this.#hasFailed || this.#isEnded) return
    const next = this.#places.get(placeKey(topic, partition))?.next ?? 0
    const messages = fetched.filter(({ offset }) => Number(offset) >= next)
    if (messages.length > 0) await this.#onCommitted({ topic, partition, messages }, pause)
  }

  #seek(topic: string, partition: number): void {
    const next = this.#places.get(placeKey(topic, partition))?.next ?? 0
    this.#consumer.seek({ topic, partition, offset: String(next) })
  }

  #advance(topic: string, partition: number, next: number): void {
    const place = this.#places.get(placeKey(topic, partition))
    if (place !== undefined && next > place.next) place.next = next
  }
}

/** Start and current end of each partition. */
async function readPlaces(admin: Admin, options: CommittedReaderOptions): Promise<Places> {
  const existing = new Set(await admin.listTopics())
  const missing = options.topics.filter((topic) => !existing.has(topic))
  if (missing.length > 0) {
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `Kafka at ${options.brokers.join(',')} has no topic ${missing.join(', ')}; create it, or correct the ` +
        'topic prefix; a cluster with access control hides topics to which this user has no right.',
      { details: { missing } },
    )
  }
  const places = new Map<string, Place>()
  for (const topic of options.topics) {
    for (const [partition, ends] of await readLogEnds(admin, topic)) {
      const key = placeKey(topic, partition)
      places.set(key, { next: firstOffset(options.startAt, key, ends), end: ends.high })
    }
  }
  return places
}

function firstOffset(
  startAt: CommittedReaderOptions['startAt'],
  key: string,
  { low, high }: LogEnds,
): number {
  if (startAt === 'beginning') return low
  if (startAt === 'now') return high
  return Math.max(startAt.get(key) ?? high, low)
}

/** Key of a partition in `startAt`. */
export function placeKey(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

async function connected<Value>(
  options: CommittedReaderOptions,
  use: () => Promise<Value>,
): Promise<Value> {
  try {
    return await use()
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw await kafkaUnreadable(options, error)
  }
}
