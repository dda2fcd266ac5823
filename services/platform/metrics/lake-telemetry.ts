// Metrics of the lake's writer: one function per event. Partitions are those of the topics.

import type { Registry } from 'prom-client'
import {
  CHECK_NAMES,
  CHECK_STATUSES,
  type CheckName,
  type CheckStatus,
} from '../../core/lake/lake-checks.ts'
import type { TableRows } from '../../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../../core/lake/lake-tables.ts'
import { createProcessMetrics, type MetricDefinition, type MetricMaker } from './process-metrics.ts'

/** Rows and bytes of one commit to the lake. */
export interface FlushedCounts {
  readonly rows: TableRows
  readonly bytes: TableRows
  /** Messages that cannot be decoded. */
  readonly unreadable: TableRows
  readonly tookMs: number
}

/** Lead of one partition of a topic over the lake. */
export interface PartitionLag {
  readonly table: TopicTable
  readonly partition: number
  readonly messages: number
  /** Age of the oldest message that is in no file; 0 when there is none. */
  readonly ageMs: number
}

export interface LakeTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** True while the writer follows the topics, for readiness. */
  readonly isFollowing: boolean
  /** True when the newest attempt at a batch has failed its checks. */
  readonly isFailing: boolean
  following(isFollowing: boolean): void
  flushed(counts: FlushedCounts): void
  checked(results: readonly { readonly name: CheckName; readonly status: CheckStatus }[]): void
  /** A batch has failed its checks and is given up for now, or another one has passed. */
  failing(isFailing: boolean): void
  compacted(files: number): void
  erased(rows: TableRows): void
  lagged(lags: readonly PartitionLag[]): void
  /** `files`: the number of files in the lake. `newestAgeMs` is null for a table without files. */
  stood(table: TopicTable, files: number, newestAgeMs: number | null): void
}

/** Seconds; a flush takes up to a quarter of a million rows. */
const FLUSH_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const PARTITION = 'partition of the topic that fills the table'

/** Metrics of one writer of a lake. */
export function createLakeTelemetry(): LakeTelemetry {
  const make = createProcessMetrics()
  const isFollowing = make.gauge(
    'sluice_lake_following',
    '1 while the writer follows the topics; 0 also while it waits to try a failed batch again.',
  )
  let follows = false
  const checks = checkEvents(make)
  return {
    registry: make.registry,
    definitions: make.definitions,
    get isFollowing() {
      return follows
    },
    get isFailing() {
      return checks.isFailing
    },
    following(isNow) {
      follows = isNow
      isFollowing.set(isNow ? 1 : 0)
    },
    flushed: flushEvents(make),
    checked: checks.checked,
    failing: checks.failing,
    ...fileEvents(make),
    ...lagEvents(make),
  }
}

function flushEvents(make: MetricMaker): LakeTelemetry['flushed'] {
  const rows = make.counter(
    'sluice_lake_rows_total',
    'Rows written and committed, by table; a decision batch has many.',
    { table: TOPIC_TABLES },
  )
  const bytes = make.counter(
    'sluice_lake_written_bytes_total',
    'Bytes of the files of these rows.',
    {
      table: TOPIC_TABLES,
    },
  )
  const unreadable = make.counter(
    'sluice_lake_unreadable_messages_total',
    'Messages that could not be decoded and so have no rows; the scorer makes dead letters of them.',
    { table: TOPIC_TABLES },
  )
  const commits = make.counter('sluice_lake_commits_total', "Commits of the lake's log.")
  const durations = make.histogram(
    'sluice_lake_flush_duration_seconds',
    'From the first row that is written to the commit.',
    FLUSH_BUCKETS_S,
  )
  return (counts) => {
    for (const table of TOPIC_TABLES) {
      rows.inc({ table }, counts.rows[table])
      bytes.inc({ table }, counts.bytes[table])
      unreadable.inc({ table }, counts.unreadable[table])
    }
    commits.inc()
    durations.observe(counts.tookMs / 1_000)
  }
}

function checkEvents(make: MetricMaker): Pick<LakeTelemetry, 'checked' | 'failing' | 'isFailing'> {
  const checks = make.counter(
    'sluice_lake_checks_total',
    'Checks of files and offsets before their commit, by status. A failed check keeps its batch out.',
    { check: CHECK_NAMES, status: CHECK_STATUSES },
  )
  const batches = make.counter(
    'sluice_lake_failed_batches_total',
    'Batches that were discarded because a check failed; they are read from the topics again.',
  )
  const failing = make.gauge(
    'sluice_lake_batch_failing',
    '1 while the newest attempt at a batch has failed its checks; nothing is written until it succeeds.',
  )
  let isFailing = false
  return {
    get isFailing() {
      return isFailing
    },
    checked(results) {
      for (const { name, status } of results) checks.inc({ check: name, status })
    },
    failing(isNow) {
      isFailing = isNow
      if (isNow) batches.inc()
      failing.set(isNow ? 1 : 0)
    },
  }
}

function fileEvents(make: MetricMaker): Pick<LakeTelemetry, 'compacted' | 'erased' | 'stood'> {
  const compactions = make.counter(
    'sluice_lake_compactions_total',
    'Days of a table whose files were compacted.',
  )
  const merged = make.counter(
    'sluice_lake_compacted_files_total',
    'Files that were merged with others.',
  )
  const erased = make.counter(
    'sluice_lake_erased_rows_total',
    'Rows of erased cards that this writer removed from the files.',
    { table: TOPIC_TABLES },
  )
  const files = make.gauge('sluice_lake_files', 'Files that the newest commit lists.', {
    table: TOPIC_TABLES,
  })
  const newest = make.gauge(
    'sluice_lake_newest_file_age_seconds',
    'Time since the newest file of the table was made; absent for a table without files.',
    { table: `one of ${TOPIC_TABLES.join(', ')}` },
  )
  return {
    compacted(count) {
      compactions.inc()
      merged.inc(count)
    },
    erased(rows) {
      for (const table of TOPIC_TABLES) erased.inc({ table }, rows[table])
    },
    stood(table, count, newestAgeMs) {
      files.set({ table }, count)
      if (newestAgeMs === null) newest.remove({ table })
      else newest.set({ table }, Math.max(0, newestAgeMs) / 1_000)
    },
  }
}

function lagEvents(make: MetricMaker): Pick<LakeTelemetry, 'lagged'> {
  const messages = make.gauge(
    'sluice_lake_lag_messages',
    'Offsets of the topic that no commit covers yet.',
    { table: `one of ${TOPIC_TABLES.join(', ')}`, partition: PARTITION },
  )
  const seconds = make.gauge(
    'sluice_lake_lag_seconds',
    'Age of the oldest message that no file contains, or the time for which it has been known; 0 when there is none.',
    { table: `one of ${TOPIC_TABLES.join(', ')}`, partition: PARTITION },
  )
  return {
    lagged(lags) {
      for (const { table, partition, messages: count, ageMs } of lags) {
        const labels = { table, partition: String(partition) }
        messages.set(labels, count)
        seconds.set(labels, Math.max(0, ageMs) / 1_000)
      }
    },
  }
}
