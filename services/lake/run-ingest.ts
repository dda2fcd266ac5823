// The lake's writer as a process: takes until it is stopped, tells by metrics where it stands, and tries a batch that
// fails its checks again from the topics, so that a fault that passes needs nobody and one that stays is seen.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setInterval } from 'node:timers'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import { isSluiceError, type SluiceError } from '../core/errors.ts'
import { addRows, NO_ROWS, placeOf } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { readLakeState } from '../platform/lake/commit-log.ts'
import { errorCodeOf } from '../platform/lake/durable-files.ts'
import { type Closable, closeAll } from '../platform/lifecycle.ts'
import {
  createLakeTelemetry,
  type LakeTelemetry,
  type PlaceLag,
} from '../platform/metrics/lake-telemetry.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import { ingest, type IngestOptions, type IngestStatus, type IngestSummary } from './ingest.ts'
import type { FlushReport, PlaceStanding } from './intake.ts'
import { openTopicEnds, type TopicEnds } from './topic-ranges.ts'

/** How often metrics say where the writer stands. */
const STANDING_MS = 5_000
/** Before a batch that failed its checks is tried again. */
const RETRY_MS = 30_000

export interface IngestServiceOptions extends Omit<
  IngestOptions,
  'until' | 'onReady' | 'onChecked' | 'onErased'
> {
  readonly metrics: { readonly host: string; readonly port: number }
  /** Before a failed batch is tried again; tests wait for less. */
  readonly retryMs?: number
  /** Each time that the reader's place is fixed. */
  readonly onReady: (metricsPort: number) => void
  readonly onErased: NonNullable<IngestOptions['onErased']>
  /** A batch has failed its checks, and is taken from the topics again. */
  readonly onFailedBatch: (error: SluiceError, retryMs: number) => void
}

/**
 * Takes until the signal; what was taken by then is written before it returns.
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
    }, STANDING_MS)
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

/** Ingests until the signal, beginning anew after each batch that its checks have kept out. */
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

// What a running ingest tells its metrics: events as they come, and every few seconds where it stands.

/** The events of an ingest that are told. */
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

  /** When files that are there already were made is what the disk says. */
  async readNewest(folder: string): Promise<void> {
    for (const { table, path } of (await readLakeState(folder)).files.values()) {
      if (table === 'checks') continue
      try {
        const { mtimeMs } = await stat(join(folder, path))
        this.#newestMs.set(table, Math.max(this.#newestMs.get(table) ?? 0, mtimeMs))
      } catch (error) {
        if (errorCodeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** From now on it is told where this ingest stands; after its end too, since what waits then waits on. */
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

  /** Says where the ingest stands; one at a time. */
  async tell(): Promise<void> {
    const status = this.#status
    if (status === null || this.#isTelling) return
    this.#isTelling = true
    try {
      const ends = await this.#ends.read()
      const nowMs = this.#clock.nowMs()
      this.#telemetry.lagged(this.#lag.read(status.standings(), ends, nowMs))
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

// How far the topics are ahead of the lake: what no commit covers counts as waiting, also what is in memory already.

/** Remembers since when messages are waiting that were not read yet, whose times nobody knows. */
export class LakeLag {
  readonly #waitingSince = new Map<string, { readonly next: number; readonly sinceMs: number }>()

  /** `ends` by table and partition; what it lacks is taken to wait for nothing more. */
  read(
    standings: readonly PlaceStanding[],
    ends: ReadonlyMap<string, number>,
    nowMs: number,
  ): readonly PlaceLag[] {
    return standings.map(({ table, partition, next, oldestTakenMs }) => {
      const place = placeOf(table, partition)
      const messages = Math.max(0, (ends.get(place) ?? next) - next)
      const known = this.#waitingSince.get(place)
      if (messages === 0) this.#waitingSince.delete(place)
      // Since it went on, what waits is younger than it was seen to be.
      else if (known?.next !== next) this.#waitingSince.set(place, { next, sinceMs: nowMs })
      const sinceMs = oldestTakenMs ?? this.#waitingSince.get(place)?.sinceMs ?? nowMs
      const isWaiting = messages > 0 || oldestTakenMs !== null
      return { table, partition, messages, ageMs: isWaiting ? Math.max(0, nowMs - sinceMs) : 0 }
    })
  }
}
