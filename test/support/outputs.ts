// Everything that a stream's scorers have published, as seen by a separate read-committed reader while they run.

import { closeWith } from './cleanup.ts'
import { randomUUID } from 'node:crypto'
import { topicName, type Topic } from '../../services/platform/kafka/topics.ts'
import { follow, type CommittedMessages } from '../../services/platform/kafka/committed-reader.ts'
import type { Alert, DeadLetter, DecisionBatch, Lease } from '../../services/core/wire/records.ts'
import type { Decoded } from '../../services/core/dead-letters.ts'
import type { TestContext } from 'node:test'
import { PARTITION_COUNT, type TestStream } from './streams.ts'

export const OUTPUT_TOPICS = ['decisions', 'alerts', 'leases', 'dead-letters'] as const
/**
 * Prefix of the keys of end markers. Each call of `readToEnd` has its own key, since a stream may hold earlier markers.
 */
const END_KEY = 'end-of-test'
/** Limit on the time without new messages, so that a test that cannot succeed any more fails with a reason. */
const SILENCE_MS_MAX = 90_000

export interface SeenBatch {
  readonly partition: number
  /** Its offset in the decisions topic. */
  readonly offset: number
  /** The published bytes: the next decision batch of the partition has the hash of these. */
  readonly value: Buffer
  readonly batch: DecisionBatch
}

/** Committed messages of one partition, from any reader. */
type SeenMessages = Pick<CommittedMessages, 'topic' | 'partition'> & {
  readonly messages: readonly {
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly offset: string
  }[]
}

export class Outputs {
  readonly decisionBatches: SeenBatch[] = []
  readonly alerts: Alert[] = []
  readonly leases: Lease[] = []
  /** Current leases, by card. */
  readonly liveLeases = new Map<string, Lease>()
  readonly deadLetters: DeadLetter[] = []
  /** By partition, the offset of transactions up to which everything is answered. */
  readonly nextOffsets = new Array<number>(PARTITION_COUNT).fill(0)
  /** The same for labels. */
  readonly labelNextOffsets = new Array<number>(PARTITION_COUNT).fill(0)
  readonly #stream: TestStream
  #endKey = ''
  /** Partitions whose end marker has been read: a producer that retries may write it twice. */
  readonly #ended = new Set<string>()
  #failure: Error | null = null
  readonly #waiting = new Set<() => void>()

  constructor(stream: TestStream) {
    this.#stream = stream
  }

  /** True when decision batches cover every transaction and label sent so far. */
  get isCaughtUp(): boolean {
    const { sent, sentLabels } = this.#stream
    return (
      sent.every((messages, partition) =>
        messages.slice(this.nextOffsets[partition] ?? 0).every((one) => one === 'control'),
      ) && sentLabels.every((count, partition) => (this.labelNextOffsets[partition] ?? 0) >= count)
    )
  }

  /** Resolves as soon as the condition holds; checked after each arrival. */
  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (this.#failure !== null) end(this.#failure)
        else if (condition()) end(null)
        else limit.refresh()
      }
      const end = (error: Error | null): void => {
        clearTimeout(limit)
        this.#waiting.delete(look)
        if (error === null) resolve()
        else reject(error)
      }
      const limit = setTimeout(() => {
        const sent = this.#stream.sent.map(({ length }) => length)
        end(
          new Error(
            `Still waiting for ${what}: answered up to ${this.nextOffsets.join(', ')} ` +
              `of ${sent.join(', ')}, labels up to ${this.labelNextOffsets.join(', ')} of ` +
              `${this.#stream.sentLabels.join(', ')} after ${this.decisionBatches.length} decision batches.`,
          ),
        )
      }, SILENCE_MS_MAX)
      this.#waiting.add(look)
    })
  }

  /**
   * Resolves when everything is answered and read. Markers sent behind all output show the end; a read-committed reader
   * sees them only when no transaction before them is open.
   */
  async readToEnd(): Promise<void> {
    await this.until('all answers', () => this.isCaughtUp)
    const producer = this.#stream.kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const endKey = `${END_KEY}-${randomUUID()}`
    const messages = Array.from({ length: PARTITION_COUNT }, (_, partition) => ({
      partition,
      key: endKey,
      value: null,
    }))
    this.#endKey = endKey
    this.#ended.clear()
    await producer.sendBatch({
      topicMessages: OUTPUT_TOPICS.map((topic) => ({
        topic: topicName(this.#stream.prefix, topic),
        messages,
      })),
    })
    await producer.disconnect()
    await this.until('the end', () => this.#ended.size === PARTITION_COUNT * OUTPUT_TOPICS.length)
  }

  accept({ topic, partition, messages }: SeenMessages): void {
    const { codecs, prefix } = this.#stream
    for (const { key, value, offset } of messages) {
      if (key?.toString().startsWith(END_KEY) === true) {
        if (key.toString() === this.#endKey) this.#ended.add(`${topic}/${partition}`)
        continue
      }
      const kind = topic.slice(prefix.length) as Topic
      if (kind === 'decisions') {
        const batch = read(codecs.decisionBatch.decode(value))
        const bytes = value ?? Buffer.alloc(0)
        this.decisionBatches.push({ partition, offset: Number(offset), value: bytes, batch })
        reach(this.nextOffsets, partition, batch.nextOffset)
        reach(this.labelNextOffsets, partition, batch.labelNextOffset)
      }
      if (kind === 'alerts') this.alerts.push(read(codecs.alert.decode(value)))
      if (kind === 'leases') this.#acceptLease(key?.toString() ?? '', value)
      if (kind === 'dead-letters') this.deadLetters.push(read(codecs.deadLetter.decode(value)))
    }
    this.#wakeAll()
  }

  #acceptLease(card: string, value: Buffer | null): void {
    if (value === null) {
      this.liveLeases.delete(card)
      return
    }
    const lease = read(this.#stream.codecs.lease.decode(value))
    this.leases.push(lease)
    this.liveLeases.set(card, lease)
  }

  fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error))
    this.#wakeAll()
  }

  #wakeAll(): void {
    for (const look of [...this.#waiting]) look()
  }
}

/** Starts reading the stream's outputs from their beginning; ends with the test. */
export function followOutputs(t: TestContext, stream: TestStream): Outputs {
  const outputs = new Outputs(stream)
  const stop = new AbortController()
  const done = follow(
    {
      brokers: stream.brokers,
      name: 'sluice-test-audit',
      topics: OUTPUT_TOPICS.map((topic) => topicName(stream.prefix, topic)),
      startAt: 'beginning',
    },
    (batch) => {
      outputs.accept(batch)
    },
    stop.signal,
  ).catch((error: unknown) => {
    outputs.fail(error)
  })
  closeWith(t, async () => {
    stop.abort()
    await done
  })
  return outputs
}

function reach(offsets: number[], partition: number, nextOffset: number): void {
  offsets[partition] = Math.max(offsets[partition] ?? 0, nextOffset)
}

function read<Value>(decoded: Decoded<Value>): Value {
  if (!decoded.ok) throw new Error(`Published and not readable: ${decoded.reason}.`)
  return decoded.value
}
