// The lake's writer as a process: ingests until it is stopped, and exports its status as metrics. A batch that fails its
// checks is read from the topics again: a transient fault heals without help, and a permanent one shows in the metrics.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setInterval } from 'node:timers'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { isSluiceError, type SluiceError } from '../core/errors.ts'
import { addRows, NO_ROWS, partitionKey } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { readLakeState } from '../platform/lake/commit-log.ts'
import { errorCodeOf } from '../platform/lake/durable-files.ts'
import { type Closable, closeAll } from '../platform/lifecycle.ts'
import {
  createLakeTelemetry,
  type LakeTelemetry,
  type PartitionLag,
} from '../platform/metrics/lake-telemetry.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import { ingest, type IngestOptions, type IngestStatus, type IngestSummary } from './ingest.ts'
import type { FlushReport, PartitionStatus } from './intake.ts'
import { openTopicEnds, type TopicEnds } from './topic-ranges.ts'

/** Interval between updates of the status metrics. */
const REPORT_MS = 5_000
/** Delay before a batch that failed its checks is tried again. */
const RETRY_MS = 30_000

export interface IngestServiceOptions extends Omit<
  IngestOptions,
  'until' | 'onReady' | 'onChecked' | 'onErased'
> {
  readonly metrics: { readonly host: string; readonly port: number }
  /** Delay before a failed batch is tried again; shorter in tests. */
  readonly retryMs?: number
  /** Called each time the start offsets are fixed. */
  readonly onReady: (metricsPort: number) => void
  readonly onErased: NonNullable<IngestOptions['onErased']>
  /** Called when a batch has failed its checks and will be read again. */
  readonly onFailedBatch: (error: SluiceError, retryMs: number) => void
}

/**
 * Ingests until the signal, and flushes before it returns.
 * @throws SluiceError as ingest, but not for a batch that fails its checks.
 */
export async function runIngest(
  options: IngestServiceOptions,
  signal: AbortSignal,
): Promise<IngestSummary> {
  const telemetry = createLakeTelemetry()
  const opened: Closable[] = []
  try {
    const metrics = await openMetricsServer({
      ...options.metrics,
      registry: telemetry.registry,
      readiness: () => ({
        isReady: telemetry.isFollowing,
        details: { batchFailing: telemetry.isFailing },
      }),
    })
    opened.push(metrics)
    const ends = openTopicEnds(options, options.topicPrefix)
    opened.push(ends)
    const gauge = new IngestGauge(telemetry, ends, options.clock)
    await gauge.readNewest(options.folder)
    const timer = setInterval(() => {
      void gauge.tell()
    }, REPORT_MS)
    opened.push({
      close: () => {
        clearInterval(timer)
        return Promise.resolve()
      },
    })
    return await attempts(options, { telemetry, gauge, metricsPort: metrics.port }, signal)
  } finally {
    await closeAll(opened)
  }
}

interface Parts {
  readonly telemetry: LakeTelemetry
  readonly gauge: IngestGauge
  readonly metricsPort: number
}

/** Ingests until the signal, starting again after each batch that failed its checks. */
async function attempts(
  options: IngestServiceOptions,
  { telemetry, gauge, metricsPort }: Parts,
  signal: AbortSignal,
): Promise<IngestSummary> {
  const { events } = gauge
  const { retryMs = RETRY_MS, onFailedBatch } = options
  let done: IngestSummary = { rows: NO_ROWS, files: 0, bytes: 0, commits: 0, unreadable: 0 }
  const attempt: { hasFailedCheck: boolean } = { hasFailedCheck: false }
  const watched: IngestOptions = {
    ...options,
    until: 'stop',
    onChecked: (results) => {
      attempt.hasFailedCheck = results.some(({ status }) => status === 'failed')
      events.onChecked(results)
    },
    onFlush: (report) => {
      done = withReport(done, report)
      events.onFlush(report)
      options.onFlush(report)
    },
    onMerge: (report) => {
      events.onMerge(report)
      options.onMerge(report)
    },
    onErased: (summary) => {
      events.onErased(summary)
      options.onErased(summary)
    },
    onReady: (status) => {
      gauge.follow(status)
      options.onReady(metricsPort)
    },
  }
  while (!signal.aborted) {
    try {
      await ingest(watched, signal).finally(() => {
        telemetry.following(false)
      })
    } catch (error) {
      if (!attempt.hasFailedCheck || !isSluiceError(error, 'SLUICE_LAKE_DAMAGED')) throw error
      attempt.hasFailedCheck = false
      telemetry.failing(true)
      onFailedBatch(error, retryMs)
      await sleepMs(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return done
}

function withReport(sum: IngestSummary, report: FlushReport): IngestSummary {
  return {
    rows: addRows(sum.rows, report.rows),
    files: sum.files + report.files,
    bytes: sum.bytes + report.bytes,
    commits: sum.commits + 1,
    unreadable: sum.unreadable + report.unreadable,
  }
}

/** The events of an ingest that are counted in metrics. */
type IngestEvents = Required<Pick<IngestOptions, 'onChecked' | 'onErased' | 'onFlush' | 'onMerge'>>

export class IngestGauge {
  readonly #telemetry: LakeTelemetry
  readonly #ends: TopicEnds
  readonly #clock: Clock
  readonly #lag = new LakeLag()
  readonly #newestMs = new Map<TopicTable, number>()
  #status: IngestStatus | null = null
  #isTelling = false

  constructor(telemetry: LakeTelemetry, ends: TopicEnds, clock: Clock) {
    this.#telemetry = telemetry
    this.#ends = ends
    this.#clock = clock
  }

  /** Initialises the age of the newest file of each table from the disk. */
  async readNewest(folder: string): Promise<void> {
    for (const { table, path } of (await readLakeState(folder)).files.values()) {
      if (table === 'checks') continue
      try {
        const { mtimeMs } = await stat(join(folder, path))
        this.#newestMs.set(table, Math.max(this.#newestMs.get(table) ?? mtimeMs, mtimeMs))
      } catch (error) {
        if (errorCodeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** Reports the status of this ingest from now on; also after its end, when messages keep waiting. */
  follow(status: IngestStatus): void {
    this.#status = status
    this.#telemetry.following(true)
    void this.tell()
  }

  readonly events: IngestEvents = {
    onChecked: (results) => {
      this.#telemetry.checked(results)
    },
    onFlush: ({ rows, bytesOf: bytes, unreadableOf: unreadable, tookMs }) => {
      this.#telemetry.flushed({ rows, bytes, unreadable, tookMs })
      if (this.#telemetry.isFailing) this.#telemetry.failing(false)
      for (const table of TOPIC_TABLES) {
        if (rows[table] > 0) this.#newestMs.set(table, this.#clock.nowMs())
      }
    },
    onMerge: ({ filesBefore }) => {
      this.#telemetry.compacted(filesBefore)
    },
    onErased: ({ rows }) => {
      this.#telemetry.erased(rows)
    },
  }

  /** Updates the status metrics; concurrent calls do nothing. */
  async tell(): Promise<void> {
    const status = this.#status
    if (status === null || this.#isTelling) return
    this.#isTelling = true
    try {
      const ends = await this.#ends.read()
      const nowMs = this.#clock.nowMs()
      this.#telemetry.lagged(this.#lag.read(status.partitions(), ends, nowMs))
      for (const table of TOPIC_TABLES) {
        const files = [...status.state.files.values()].filter((file) => file.table === table)
        const newestMs = this.#newestMs.get(table)
        const isTold = files.length > 0 && newestMs !== undefined
        this.#telemetry.stood(table, files.length, isTold ? nowMs - newestMs : null)
      }
    } finally {
      this.#isTelling = false
    }
  }
}

/**
 * The lag of the lake behind the topics. Messages not covered by a commit are waiting, also those in memory. The send
 * time of unread messages is unknown, so their age counts from when they were first seen waiting.
 */
export class LakeLag {
  readonly #waitingSince = new Map<string, { readonly next: number; readonly sinceMs: number }>()

  /** `ends` by table and partition; a partition missing from it is considered to be at its end. */
  read(
    partitions: readonly PartitionStatus[],
    ends: ReadonlyMap<string, number>,
    nowMs: number,
  ): readonly PartitionLag[] {
    return partitions.map(({ table, partition, next, oldestUncommittedMs }) => {
      const key = partitionKey(table, partition)
      const messages = Math.max(0, (ends.get(key) ?? next) - next)
      const known = this.#waitingSince.get(key)
      if (messages === 0) this.#waitingSince.delete(key)
      // The position advanced, so the messages now waiting arrived later.
      else if (known?.next !== next) this.#waitingSince.set(key, { next, sinceMs: nowMs })
      const sinceMs = oldestUncommittedMs ?? this.#waitingSince.get(key)?.sinceMs ?? nowMs
      const isWaiting = messages > 0 || oldestUncommittedMs !== null
      return { table, partition, messages, ageMs: isWaiting ? Math.max(0, nowMs - sinceMs) : 0 }
    })
  }
}
