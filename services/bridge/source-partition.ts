// One assigned partition of the team's topic: fetched records wait in a bounded queue, are mapped in order, and are
// committed together with their end. One batch is mapped while the one before it is being committed. After a failed commit
// its outcome is read back from the committed offset.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError, type SluiceError } from '../core/errors.ts'
import { kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import type {
  FetchedRecords,
  LogClient,
  LogRecord,
  LogWriter,
} from '../platform/kafka/log-client.ts'
import type { Logger } from '../platform/log.ts'
import type { BridgeTelemetry } from '../platform/metrics/bridge-telemetry.ts'
import type { BatchMapper, MappedBatch } from './bridge-batch.ts'

/** Most records of one commit. */
const BATCH_RECORDS_MAX = 4_096
/** Waiting records at which a partition is not fetched any more. */
const QUEUE_RECORDS_MAX = 8_192
const QUEUE_BYTES_MAX = 8 * 1024 * 1024
/** Commits of one partition that may be on their way. */
const COMMITS_MAX = 2
const RETRY_MS_FIRST = 50
const RETRY_MS_MAX = 2_000

export interface SourcePartitionOptions {
  readonly topic: string
  readonly partition: number
  readonly client: LogClient
  readonly mapper: BatchMapper
  /** Where a group without a committed offset begins. */
  readonly start: 'earliest' | 'latest'
  readonly telemetry: BridgeTelemetry
  readonly log: Logger
  /** A right is missing: no retry helps. */
  readonly onFault: (error: SluiceError) => void
}

export class SourcePartition {
  readonly #options: SourcePartitionOptions
  #queue: FetchedRecords[] = []
  #queuedRecords = 0
  #queuedBytes = 0
  #isPaused = false
  #isStopped = false
  #isOpen = false
  /** Offset up to which all is committed; null before it is known. */
  #committedTo: number | null = null
  /** Offset up to which records were taken into the queue. */
  #queuedTo = 0
  #highWatermark = 0
  #wake: () => void = () => undefined
  readonly #stopped = new AbortController()
  readonly #done: Promise<void>

  constructor(options: SourcePartitionOptions) {
    this.#options = options
    this.#done = this.#live()
  }

  /** True while records are read and committed. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Messages that are not committed yet, as far as the broker has reported. */
  get behind(): number {
    return this.#committedTo === null ? 0 : Math.max(0, this.#highWatermark - this.#committedTo)
  }

  /** Takes fetched records; never waits. */
  push(fetched: FetchedRecords): void {
    if (this.#isStopped) return
    this.#highWatermark = fetched.highWatermark
    // Control records are no records, but the position moves past them.
    if (fetched.nextOffset === this.#queuedTo) return
    this.#queuedTo = fetched.nextOffset
    this.#queue.push(fetched)
    this.#queuedRecords += fetched.records.length
    this.#queuedBytes += bytesOf(fetched.records)
    const isFull = this.#queuedRecords > QUEUE_RECORDS_MAX || this.#queuedBytes > QUEUE_BYTES_MAX
    if (isFull && !this.#isPaused) {
      this.#isPaused = true
      this.#options.client.reader.pause(fetched.topic, fetched.partition)
    }
    this.#wake()
  }

  /** Ends after the commits that are on their way; records that wait are dropped, and read again by the next owner. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopped.abort()
    const { client, topic, partition } = this.#options
    client.reader.release(topic, partition)
    this.#wake()
    await this.#done
  }

  async #live(): Promise<void> {
    const { log, partition, telemetry, onFault } = this.#options
    let retryMs = RETRY_MS_FIRST
    while (!this.#isStopped) {
      let writer: LogWriter | null = null
      try {
        writer = await this.#open()
        if (writer !== null) await this.#work(writer)
        retryMs = RETRY_MS_FIRST
      } catch (error) {
        telemetry.commitFailed()
        const refusal = kafkaRefusal(error)
        if (refusal !== null) onFault(refusal)
        // A rebalance ends this partition here; its next owner continues from the committed offset.
        if (isSluiceError(error, 'SLUICE_PARTITION_FENCED'))
          log.info({ partition }, 'A commit was refused: the partition has another owner.')
        else log.warn({ partition, error }, 'A commit has failed; its outcome is read back.')
      }
      this.#isOpen = false
      await writer?.close()
      if (this.#hasStopped()) break
      await sleepMs(retryMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
      retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)
    }
  }

  /** Fences the last owner and begins at the committed offset. Null when the partition was stopped meanwhile. */
  async #open(): Promise<LogWriter | null> {
    const { client, topic, partition, start } = this.#options
    const writer = await client.openWriter(partition)
    const committed = await client.group.readCommitted(topic, partition)
    const offset = committed?.offset ?? (await this.#firstOffset(start))
    if (this.#isStopped) return null
    this.#queue = []
    this.#queuedRecords = 0
    this.#queuedBytes = 0
    this.#isPaused = false
    this.#committedTo = offset
    this.#queuedTo = offset
    client.reader.release(topic, partition)
    client.reader.seek(topic, partition, offset)
    this.#isOpen = true
    return writer
  }

  async #firstOffset(start: SourcePartitionOptions['start']): Promise<number> {
    const { client, topic, partition } = this.#options
    const { low, high } = await client.readEnds(topic, partition)
    return start === 'earliest' ? low : high
  }

  async #work(writer: LogWriter): Promise<void> {
    const running = new Set<Promise<void>>()
    let failure: Error | null = null
    const hasFailed = (): boolean => failure !== null
    while (!this.#isStopped && !hasFailed()) {
      const taken = this.#take()
      if (taken === null) {
        await this.#waitForRecords(hasFailed)
        continue
      }
      await this.#options.mapper.prepare(taken.records, this.#stopped.signal)
      if (this.#hasStopped()) break
      const commit = this.#commit(writer, taken)
        .catch((error: unknown) => {
          failure ??= error instanceof Error ? error : new Error(String(error))
          this.#wake()
        })
        .finally(() => running.delete(commit))
      running.add(commit)
      if (running.size >= COMMITS_MAX) await Promise.race(running)
    }
    await Promise.all(running)
    const error = failure as Error | null
    if (error !== null && !this.#isStopped) throw error
  }

  /** The next records to map, in order; null when there are none. */
  #take(): { readonly records: readonly LogRecord[]; readonly nextOffset: number } | null {
    const [first] = this.#queue
    if (first === undefined) return null
    let records = first.records
    let { nextOffset } = first
    let count = 1
    for (; count < this.#queue.length; count += 1) {
      const next = this.#queue[count]
      if (next === undefined || records.length + next.records.length > BATCH_RECORDS_MAX) break
      records = [...records, ...next.records]
      ;({ nextOffset } = next)
    }
    this.#queue.splice(0, count)
    this.#queuedRecords -= records.length
    this.#queuedBytes -= bytesOf(records)
    this.#resumeIfRoom()
    return { records, nextOffset }
  }

  #resumeIfRoom(): void {
    const hasRoom =
      this.#queuedRecords <= QUEUE_RECORDS_MAX / 2 && this.#queuedBytes <= QUEUE_BYTES_MAX / 2
    if (!this.#isPaused || !hasRoom) return
    this.#isPaused = false
    const { client, topic, partition } = this.#options
    client.reader.resume(topic, partition)
  }

  /** Waits for records, a stop or a failed commit. */
  async #waitForRecords(hasFailed: () => boolean): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    if (this.#queue.length === 0 && !this.#isStopped && !hasFailed()) await woken
  }

  async #commit(
    writer: LogWriter,
    {
      records,
      nextOffset,
    }: { readonly records: readonly LogRecord[]; readonly nextOffset: number },
  ): Promise<void> {
    const { topic, partition, mapper, telemetry } = this.#options
    const startMs = performance.now()
    const mapped: MappedBatch = mapper.mapBatch(topic, partition, records)
    const mappedMs = performance.now()
    await writer.commit(
      mapped.messages,
      [{ topic, partition, offset: nextOffset, metadata: null }],
      false,
    )
    this.#committedTo = nextOffset
    telemetry.committed(mapped, mappedMs - startMs, performance.now() - mappedMs)
  }

  #hasStopped(): boolean {
    return this.#isStopped
  }
}

function bytesOf(records: readonly LogRecord[]): number {
  let bytes = 0
  for (const { value } of records) bytes += value?.length ?? 0
  return bytes
}
