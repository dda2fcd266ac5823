// The rows read since the last flush, with the offsets that they cover, and the flush that commits both. Rows and offsets
// change synchronously, so they always agree.

import type { KafkaMessage } from 'kafkajs'
import type { Clock } from '../core/clock.ts'
import { type CheckResult, type OffsetCounts, offsetsResult } from '../core/lake/lake-checks.ts'
import { partitionKey, rowsBy, type TableRows, totalRows } from '../core/lake/lake-log.ts'
import {
  deadLetterRow,
  decisionRows,
  labelRow,
  type TimedLakeRow,
  TOPIC_TABLES,
  type TopicTable,
  transactionRow,
} from '../core/lake/lake-tables.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { DuckDbSession } from '../platform/lake/duckdb.ts'
import type { LakeWriter, StagedFile } from '../platform/lake/lake-writer.ts'
import { refuseFailed, RowBuffer, stageBuffer, stageResults } from '../platform/lake/stage-files.ts'

/** An ingested range of one partition. */
export interface IngestedRange extends OffsetCounts {
  readonly table: TopicTable
  readonly partition: number
  /** Send time of its first message; null while there is none. */
  readonly oldestMs: number | null
}

type Growing = { -readonly [Name in keyof IngestedRange]: IngestedRange[Name] }

/** Rows of all tables for one flush. */
export class Intake {
  readonly buffers: Readonly<Record<TopicTable, RowBuffer>>
  readonly #codecs: Codecs
  readonly #ranges = new Map<string, Growing>()

  private constructor(codecs: Codecs, buffers: Readonly<Record<TopicTable, RowBuffer>>) {
    this.#codecs = codecs
    this.buffers = buffers
  }

  /** `number` makes the names of its buffers unique. */
  static async open(session: DuckDbSession, codecs: Codecs, number: number): Promise<Intake> {
    const open = (table: TopicTable): Promise<RowBuffer> =>
      RowBuffer.open(session, table, `${table}_${number}`)
    return new Intake(codecs, {
      transactions: await open('transactions'),
      decisions: await open('decisions'),
      labels: await open('labels'),
      dead_letters: await open('dead_letters'),
    })
  }

  get rows(): number {
    return TOPIC_TABLES.reduce((sum, table) => sum + this.buffers[table].rows, 0)
  }

  get bytes(): number {
    return TOPIC_TABLES.reduce((sum, table) => sum + this.buffers[table].bytes, 0)
  }

  get ranges(): readonly IngestedRange[] {
    return [...this.#ranges.values()].filter(({ first, next }) => next > first)
  }

  /** Adds committed messages of one partition; `position` is the next offset to ingest. Returns the new position. */
  take(
    table: TopicTable,
    partition: number,
    messages: readonly KafkaMessage[],
    position: number,
  ): number {
    const range = this.#rangeOf(table, partition, position)
    for (const message of messages) {
      const offset = Number(message.offset)
      // The reader delivers each offset once and in order; a duplicate row must be impossible even if it does not.
      if (offset < range.next) throw new Error(`Offset ${offset} of ${table} came twice.`)
      this.#takeOne(table, range, offset, message)
      range.oldestMs ??= Number(message.timestamp)
      range.next = offset + 1
    }
    return range.next
  }

  /** Records that everything before `next` has been read, control records included. */
  advance(table: TopicTable, partition: number, next: number, position: number): void {
    const range = this.#rangeOf(table, partition, position)
    range.next = Math.max(range.next, next)
  }

  async close(): Promise<void> {
    for (const table of TOPIC_TABLES) await this.buffers[table].close()
  }

  #rangeOf(table: TopicTable, partition: number, position: number): Growing {
    const key = partitionKey(table, partition)
    const known = this.#ranges.get(key)
    if (known !== undefined) return known
    const counts = { first: position, next: position, ingested: 0, watermarks: 0, unreadable: 0 }
    const range = { table, partition, oldestMs: null, ...counts }
    this.#ranges.set(key, range)
    return range
  }

  #takeOne(table: TopicTable, range: Growing, offset: number, message: KafkaMessage): void {
    const position = { partition: range.partition, offset, sentAtMs: Number(message.timestamp) }
    const add = ({ timeMs, row }: TimedLakeRow): void => {
      this.buffers[table].add(range.partition, offset, timeMs, row)
    }
    switch (table) {
      case 'transactions': {
        const decoded = this.#codecs.decodeTransactionMessage(message.value)
        if (decoded.kind === 'transaction') add(transactionRow(position, decoded.value))
        count(range, decoded.kind)
        return
      }
      case 'labels': {
        const decoded = this.#codecs.decodeLabelMessage(message.value)
        if (decoded.kind === 'label') add(labelRow(position, decoded.value))
        count(range, decoded.kind)
        return
      }
      case 'decisions': {
        const decoded = this.#codecs.decisionBatch.decode(message.value)
        if (decoded.ok) for (const row of decisionRows(offset, decoded.value)) add(row)
        count(range, decoded.ok ? 'ingested' : 'reject')
        return
      }
      case 'dead_letters': {
        const decoded = this.#codecs.deadLetter.decode(message.value)
        if (decoded.ok) add(deadLetterRow(position, decoded.value))
        count(range, decoded.ok ? 'ingested' : 'reject')
      }
    }
  }
}

function count(
  range: Growing,
  kind: 'transaction' | 'label' | 'ingested' | 'watermark' | 'reject',
): void {
  if (kind === 'watermark') range.watermarks += 1
  else if (kind === 'reject') range.unreadable += 1
  else range.ingested += 1
}

/** Ingestion status of one partition. */
export interface PartitionStatus {
  readonly table: TopicTable
  readonly partition: number
  /** First offset not covered by a commit. Transaction markers are not messages and do not count as waiting. */
  readonly next: number
  /** Send time of the oldest message that was read but not committed; null when there is none. */
  readonly oldestUncommittedMs: number | null
}

/** Status of every partition; `pending` are ranges not covered by a commit, oldest first. */
export function partitionStatuses(
  positions: ReadonlyMap<string, number>,
  pending: readonly IngestedRange[],
): readonly PartitionStatus[] {
  const oldest = new Map<string, IngestedRange>()
  for (const range of pending) {
    const key = partitionKey(range.table, range.partition)
    if (range.oldestMs !== null && !oldest.has(key)) oldest.set(key, range)
  }
  return [...positions].flatMap(([key, position]) => {
    const [name, partition] = key.split('/')
    const table = TOPIC_TABLES.find((each) => each === name)
    if (table === undefined) return []
    const range = oldest.get(key)
    const next = range?.first ?? position
    return [
      { table, partition: Number(partition), next, oldestUncommittedMs: range?.oldestMs ?? null },
    ]
  })
}

/** Result of one flush. */
export interface FlushReport {
  readonly commit: number
  readonly rows: TableRows
  readonly files: number
  readonly bytes: number
  readonly bytesOf: TableRows
  /** Messages that could not be decoded. */
  readonly unreadable: number
  readonly unreadableOf: TableRows
  /** First offset not yet ingested, by table and partition; only those that advanced. */
  readonly next: Readonly<Record<string, number>>
  readonly tookMs: number
}

export interface FlushOptions {
  readonly clock: Clock
  /** Results recorded with those of the files. */
  readonly results: readonly CheckResult[]
  /** Called with all results, also when one of them fails the batch. */
  readonly onChecked?: (results: readonly CheckResult[]) => void
}

/**
 * Writes the rows to checked files and the results of the checks to another, and commits all of them together.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when a check fails, before anything is committed; SLUICE_LAKE_BUSY.
 */
export async function flushIntake(
  session: DuckDbSession,
  writer: LakeWriter,
  intake: Intake,
  { clock, results: given, onChecked }: FlushOptions,
): Promise<FlushReport> {
  const startMs = clock.monotonicMs()
  const { ranges } = intake
  const commit = writer.state.sequence + 1
  const staged: StagedFile[] = []
  const results = [...given]
  for (const table of TOPIC_TABLES) {
    if (intake.buffers[table].rows === 0) continue
    const made = await stageBuffer(session, writer.staging, intake.buffers[table], commit)
    staged.push(...made.staged)
    results.push(...made.results)
  }
  for (const range of ranges) results.push(offsetsResult(range.table, range.partition, range))
  onChecked?.(results)
  refuseFailed(results)
  const bytesOf = rowsBy((table) =>
    staged.reduce((sum, { file }) => sum + (file.table === table ? file.bytes : 0), 0),
  )
  const files = staged.length
  staged.push(...(await stageResults(session, writer.staging, results, commit, clock.nowMs())))
  const next = Object.fromEntries(
    ranges.map((range) => [partitionKey(range.table, range.partition), range.next]),
  )
  await writer.commit({ kind: 'ingest', staged, next })
  const unreadableOf = rowsBy((table) =>
    ranges.reduce((sum, range) => sum + (range.table === table ? range.unreadable : 0), 0),
  )
  const report: FlushReport = {
    commit,
    rows: rowsBy((table) => intake.buffers[table].rows),
    files,
    bytes: totalRows(bytesOf),
    bytesOf,
    unreadable: totalRows(unreadableOf),
    unreadableOf,
    next,
    tookMs: clock.monotonicMs() - startMs,
  }
  await intake.close()
  return report
}
