// Ingests each committed message from Kafka exactly once. Progress is recorded only in the lake's commits, which add
// files and advance offsets atomically, so a killed process resumes at its last commit.

import { setInterval } from 'node:timers'
import type { Clock } from '../core/clock.ts'
import { isSluiceError } from '../core/errors.ts'
import { planCompaction } from '../core/lake/compaction.ts'
import type { CheckResult } from '../core/lake/lake-checks.ts'
import { type LakeState, partitionKey } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import {
  follow,
  readToEnd,
  type CommittedMessages,
  type CommittedReaderOptions,
} from '../platform/kafka/committed-reader.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { topicName } from '../platform/kafka/topics.ts'
import { type DuckDbSession, openDuckDb, temporaryFolder } from '../platform/lake/duckdb.ts'
import { type LakeWriter, openLakeWriter } from '../platform/lake/lake-writer.ts'
import { COMPACTION_DEFAULTS, runMerge, type MergeReport } from './compact.ts'
import { answerRequest, forgetAnswers, pendingRequests } from './erase-requests.ts'
import { eraseCard, type EraseRequest, type EraseSummary } from './erase.ts'
import {
  flushIntake,
  type FlushReport,
  Intake,
  type PartitionStatus,
  partitionStatuses,
} from './intake.ts'
import { readTopicRanges, TOPIC_OF, type TopicRanges } from './topic-ranges.ts'

/** Default limits: the size of one flush, and the longest time before it begins. */
export const INGEST_DEFAULTS = Object.freeze({
  rowsMax: 250_000,
  bytesMax: 256 * 1024 * 1024,
  flushMs: 60_000,
})

/** Files of one day and table at which a running ingest compacts them. */
const COMPACT_FILES_MIN = 16

/** Interval at which a running ingest looks for erase requests. */
const REQUESTS_MS = 1_000

export interface IngestOptions extends KafkaConnection {
  readonly folder: string
  readonly topicPrefix: string
  readonly codecs: Codecs
  /** `end`: to the end of the topics at the start. `stop`: until the signal. */
  readonly until: 'end' | 'stop'
  /** Rows, and bytes of rows, at which a flush begins. */
  readonly rowsMax: number
  readonly bytesMax: number
  /** Longest time that rows wait for a flush. */
  readonly flushMs: number
  readonly acceptGap: boolean
  /** Interval at which days with many small files are compacted; null for never. */
  readonly compactMs: number | null
  readonly clock: Clock
  readonly onFlush: (report: FlushReport) => void
  readonly onMerge: (report: MergeReport) => void
  /** Called with the results of every batch, also of one that fails its checks. */
  readonly onChecked?: (results: readonly CheckResult[]) => void
  readonly onErased?: (summary: EraseSummary) => void
  /** Called once the start offsets are fixed. */
  readonly onReady?: (status: IngestStatus) => void
}

/** Current status of a running ingest. */
export interface IngestStatus {
  partitions(): readonly PartitionStatus[]
  /** As of the newest commit. */
  readonly state: LakeState
}

/** Totals of a run. */
export interface IngestSummary {
  readonly rows: Readonly<Record<TopicTable, number>>
  readonly files: number
  readonly bytes: number
  readonly commits: number
  readonly unreadable: number
}

/**
 * Ingests until the end or the signal, and flushes before it returns.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_GAP, SLUICE_LAKE_DAMAGED, SLUICE_BROKER_UNAVAILABLE or
 * SLUICE_TOPICS_INVALID; the signal's reason when `until` is `end`.
 */
export async function ingest(options: IngestOptions, signal: AbortSignal): Promise<IngestSummary> {
  const { folder, topicPrefix, clock } = options
  const writer = await openLakeWriter({ folder, writer: 'sluice lake ingest', topicPrefix, clock })
  try {
    const ranges = await readTopicRanges(options, topicPrefix, writer.state, options.acceptGap)
    const session = await openDuckDb(temporaryFolder(writer.staging))
    try {
      const ingestion = await Ingestion.open(options, writer, session, ranges)
      return await ingestion.run(signal)
    } finally {
      await session.close()
    }
  } finally {
    await writer.close()
  }
}

class Ingestion implements IngestStatus {
  readonly #options: IngestOptions
  readonly #writer: LakeWriter
  readonly #session: DuckDbSession
  readonly #ranges: TopicRanges
  readonly #tables: ReadonlyMap<string, TopicTable>
  readonly #positions: Map<string, number>
  readonly #failed = new AbortController()
  readonly #rows: Record<TopicTable, number> = {
    transactions: 0,
    decisions: 0,
    labels: 0,
    dead_letters: 0,
  }
  readonly #totals = { files: 0, bytes: 0, commits: 0, unreadable: 0 }
  #gaps: readonly CheckResult[]
  #current: Intake
  #spare: Intake
  /** The intake being flushed. */
  #leaving: Intake | null = null
  #intakes = 2
  #flushing: Promise<void> = Promise.resolve()
  #isErasing = false

  private constructor(
    options: IngestOptions,
    writer: LakeWriter,
    session: DuckDbSession,
    ranges: TopicRanges,
    intakes: { readonly current: Intake; readonly spare: Intake },
  ) {
    this.#options = options
    this.#writer = writer
    this.#session = session
    this.#ranges = ranges
    this.#gaps = ranges.gaps
    this.#positions = new Map(ranges.positions)
    this.#current = intakes.current
    this.#spare = intakes.spare
    this.#tables = new Map(
      TOPIC_TABLES.map((table) => [topicName(options.topicPrefix, TOPIC_OF[table]), table]),
    )
  }

  static async open(
    options: IngestOptions,
    writer: LakeWriter,
    session: DuckDbSession,
    ranges: TopicRanges,
  ): Promise<Ingestion> {
    const open = (number: number): Promise<Intake> => Intake.open(session, options.codecs, number)
    const intakes = { current: await open(0), spare: await open(1) }
    return new Ingestion(options, writer, session, ranges, intakes)
  }

  async run(signal: AbortSignal): Promise<IngestSummary> {
    const { flushMs, compactMs, until, folder } = this.#options
    const ending = AbortSignal.any([signal, this.#failed.signal])
    const every = (periodMs: number, work: () => Promise<void>): NodeJS.Timeout =>
      setInterval(() => {
        void work().catch(() => undefined)
      }, periodMs)
    const timers = [
      every(flushMs, async () => {
        if (this.#current.ranges.some(({ oldestMs }) => oldestMs !== null)) await this.#flush()
      }),
    ]
    if (compactMs !== null) {
      timers.push(every(compactMs, () => this.#afterFlushes(() => this.#compact(ending))))
    }
    if (until === 'stop') {
      await forgetAnswers(folder)
      timers.push(every(REQUESTS_MS, () => this.#eraseAsked(ending)))
    }
    try {
      const take = (batch: CommittedMessages): Promise<void> => this.#take(batch)
      if (until === 'end') await readToEnd(this.#reader(), take, ending)
      else
        await follow(this.#reader(), take, ending, () => {
          this.#options.onReady?.(this)
        })
    } catch (error) {
      // After a signal the remaining rows are still flushed; after a failure they are not.
      if (!signal.aborted || this.#failed.signal.aborted) throw this.#failure ?? error
    } finally {
      for (const timer of timers) clearInterval(timer)
    }
    await this.#flushing
    this.#failed.signal.throwIfAborted()
    await this.#flush()
    if (until === 'end') signal.throwIfAborted()
    return { rows: this.#rows, ...this.#totals }
  }

  get #failure(): unknown {
    return this.#failed.signal.aborted ? (this.#failed.signal.reason as unknown) : undefined
  }

  get state(): LakeState {
    return this.#writer.state
  }

  partitions(): readonly PartitionStatus[] {
    const intakes = [this.#leaving, this.#current].filter((intake) => intake !== null)
    return partitionStatuses(
      this.#positions,
      intakes.flatMap(({ ranges }) => ranges),
    )
  }

  #reader(): CommittedReaderOptions {
    const { brokers, security } = this.#options
    return {
      brokers,
      ...(security === undefined ? {} : { security }),
      name: 'sluice-lake',
      topics: [...this.#tables.keys()],
      startAt: this.#ranges.startAt,
      onAdvance: (topic, partition, next) => {
        const table = this.#tables.get(topic)
        if (table === undefined) return
        const key = partitionKey(table, partition)
        const position = this.#positions.get(key) ?? 0
        if (next <= position) return
        this.#current.advance(table, partition, next, position)
        this.#positions.set(key, next)
      },
    }
  }

  async #take({ topic, partition, messages }: CommittedMessages): Promise<void> {
    const table = this.#tables.get(topic)
    if (table === undefined) return
    const key = partitionKey(table, partition)
    const position = this.#positions.get(key) ?? 0
    this.#positions.set(key, this.#current.take(table, partition, messages, position))
    const { rowsMax, bytesMax } = this.#options
    if (this.#current.rows >= rowsMax || this.#current.bytes >= bytesMax) await this.#flush()
  }

  #flush(): Promise<void> {
    return this.#afterFlushes(() => this.#flushNow())
  }

  /** Serialises changes of the lake. A failure ends the run. */
  #afterFlushes(change: () => Promise<void>): Promise<void> {
    this.#flushing = this.#flushing.then(change)
    this.#flushing.catch((error: unknown) => {
      this.#failed.abort(error)
    })
    return this.#flushing
  }

  async #compact(signal: AbortSignal): Promise<void> {
    const rule = { ...COMPACTION_DEFAULTS, filesMin: COMPACT_FILES_MIN }
    for (const merge of planCompaction(this.#writer.state, rule)) {
      if (signal.aborted) return
      this.#options.onMerge(await runMerge(this.#session, this.#writer, merge))
    }
  }

  /** Flushes before each erasure; otherwise rows of the card still in memory would survive it. */
  async #eraseAsked(signal: AbortSignal): Promise<void> {
    if (this.#isErasing) return
    this.#isErasing = true
    try {
      for (const request of await pendingRequests(this.#options.folder)) {
        await this.#flush()
        await this.#afterFlushes(() => this.#erase(request, signal))
      }
    } finally {
      this.#isErasing = false
    }
  }

  async #erase(request: EraseRequest, signal: AbortSignal): Promise<void> {
    const { folder, clock, onErased } = this.#options
    const options = { request, clock, onStep: () => undefined }
    try {
      const summary = await eraseCard(this.#session, this.#writer, options, signal)
      await answerRequest(folder, request, summary)
      onErased?.(summary)
    } catch (error) {
      // The request stays for the next writer.
      if (signal.aborted) return
      // A damaged file prevents the erasure, but not further ingestion.
      if (!isSluiceError(error, 'SLUICE_LAKE_DAMAGED')) throw error
      await answerRequest(folder, request, { problem: error.message })
    }
  }

  async #flushNow(): Promise<void> {
    const intake = this.#current
    if (intake.ranges.length === 0 && this.#gaps.length === 0) return
    // Swapped synchronously with the check of its ranges, so all later messages go to the spare intake.
    this.#current = this.#spare
    this.#leaving = intake
    const { onChecked } = this.#options
    const report = await flushIntake(this.#session, this.#writer, intake, {
      clock: this.#options.clock,
      results: this.#gaps,
      ...(onChecked === undefined ? {} : { onChecked }),
    })
    this.#leaving = null
    this.#gaps = []
    this.#spare = await Intake.open(this.#session, this.#options.codecs, this.#intakes)
    this.#intakes += 1
    for (const table of TOPIC_TABLES) this.#rows[table] += report.rows[table]
    this.#totals.files += report.files
    this.#totals.bytes += report.bytes
    this.#totals.commits += 1
    this.#totals.unreadable += report.unreadable
    this.#options.onFlush(report)
  }
}
