// Imports CSV and Parquet files into the lake through a mapping of columns. All files of an import are one commit, so an
// import is atomic; a file imported before is refused.

import { basename } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import type { ColumnMapping } from '../core/files/column-mapping.ts'
import {
  BadRow,
  badRowError,
  type BadRowReason,
  labelOfRow,
  type ReadRow,
  type ReplayRow,
  type SkippedRows,
} from '../core/files/row-reader.ts'
import type { ImportMapping } from '../core/lake/import-mapping.ts'
import { offsetsResult, type CheckResult } from '../core/lake/lake-checks.ts'
import { type ImportedSource, partitionKey } from '../core/lake/lake-log.ts'
import { IMPORT_PARTITION, labelRow, transactionRow } from '../core/lake/lake-tables.ts'
import { readTableRows, refuseOtherNames, unreadable } from '../platform/files/table-files.ts'
import { type DuckDbSession, openDuckDb, temporaryFolder } from '../platform/lake/duckdb.ts'
import { digestOf, errorCodeOf } from '../platform/lake/durable-files.ts'
import { type LakeWriter, openLakeWriter, type StagedFile } from '../platform/lake/lake-writer.ts'
import { refuseFailed, RowBuffer, stageBuffer, stageResults } from '../platform/lake/stage-files.ts'
import { MappedReader } from './mapped-rows.ts'

/** Limit on the files of one import (P6). */
const FILES_MAX = 10_000
/** Rows in memory before they are written to files. */
const ROWS_MAX = 250_000
const PROGRESS_ROWS = 100_000

const TABLES = ['transactions', 'labels'] as const
type ImportedTable = (typeof TABLES)[number]

export interface ImportOptions {
  readonly folder: string
  readonly files: readonly string[]
  readonly mapping: ImportMapping
  readonly delimiter: string
  /** Delay after the event time at which labels of a label column are known. */
  readonly labelDelayMs: number
  /** Also import labels of genuine transactions. */
  readonly genuineLabels: boolean
  /** Count and skip rows that cannot be read, instead of stopping at the first. */
  readonly skipBad: boolean
  /** Allow files that were imported before. */
  readonly again: boolean
  readonly clock: Clock
  readonly onProgress: (line: string) => void
  readonly onMapping: (file: string, mapping: ColumnMapping) => void
}

export interface ImportSummary {
  readonly transactions: number
  readonly labels: number
  /** By reason. */
  readonly skipped: SkippedRows
  readonly files: number
  readonly commit: number
}

/**
 * Reads all files, then commits them together.
 * @throws SluiceError SLUICE_INPUT_INVALID naming file, line and column of a bad row, SLUICE_USAGE for a
 * file that was imported before, SLUICE_LAKE_BUSY, or the signal's reason.
 */
export async function importFiles(
  options: ImportOptions,
  signal: AbortSignal,
): Promise<ImportSummary> {
  const sources = await digests(options.files)
  const { folder, clock } = options
  const writer = await openLakeWriter({
    folder,
    writer: 'sluice lake import',
    topicPrefix: null,
    clock,
  })
  try {
    if (!options.again) refuseKnown(writer, sources)
    const session = await openDuckDb(temporaryFolder(writer.staging))
    try {
      const importing = new Importing(options, session, writer)
      for (const file of options.files) await importing.readFile(file, signal)
      return await importing.commit(sources)
    } finally {
      await session.close()
    }
  } finally {
    await writer.close()
  }
}

class Importing {
  readonly #options: ImportOptions
  readonly #session: DuckDbSession
  readonly #writer: LakeWriter
  readonly #begin: Readonly<Record<ImportedTable, number>>
  readonly #next: Record<ImportedTable, number>
  readonly #skipped: Partial<Record<BadRowReason, number>> = {}
  readonly #staged: StagedFile[] = []
  readonly #results: CheckResult[] = []
  #buffers: Readonly<Record<ImportedTable, RowBuffer>> | null = null
  #chunks = 0
  readonly #reader: MappedReader

  constructor(options: ImportOptions, session: DuckDbSession, writer: LakeWriter) {
    this.#options = options
    this.#reader = new MappedReader(options)
    this.#session = session
    this.#writer = writer
    const nextOf = (table: ImportedTable): number =>
      writer.state.next.get(partitionKey(table, IMPORT_PARTITION)) ?? 0
    this.#begin = { transactions: nextOf('transactions'), labels: nextOf('labels') }
    this.#next = { ...this.#begin }
  }

  async readFile(file: string, signal: AbortSignal): Promise<void> {
    const { delimiter, skipBad, onProgress } = this.#options
    const onBadCsv = (): void => {
      this.#count('not_csv')
    }
    let read: ReadRow | null = null
    const name = basename(file)
    let rows = 0
    for await (const { line, cells } of readTableRows(
      this.#session,
      file,
      delimiter,
      skipBad ? onBadCsv : null,
    )) {
      if (read === null) {
        read = this.#reader.compile(file, cells)
        continue
      }
      rows += 1
      if (rows % PROGRESS_ROWS === 0) {
        signal.throwIfAborted()
        onProgress(`${file}: ${rows} rows`)
      }
      const row = this.#read(read, file, line, cells, `${name}:${line}`)
      if (row !== null) await this.#add(row)
    }
    signal.throwIfAborted()
    if (read === null) {
      throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is empty; it needs a header and rows.`)
    }
  }

  async commit(sources: readonly ImportedSource[]): Promise<ImportSummary> {
    await this.#stage()
    const commit = this.#writer.state.sequence + 1
    const next: Record<string, number> = {}
    for (const table of TABLES) {
      const [first, end] = [this.#begin[table], this.#next[table]]
      if (end === first) continue
      next[partitionKey(table, IMPORT_PARTITION)] = end
      const counts = { first, next: end, ingested: end - first, watermarks: 0, unreadable: 0 }
      this.#results.push(offsetsResult(table, IMPORT_PARTITION, counts))
    }
    refuseFailed(this.#results)
    const files = this.#staged.length
    const nowMs = this.#options.clock.nowMs()
    const checks = await stageResults(
      this.#session,
      this.#writer.staging,
      this.#results,
      commit,
      nowMs,
    )
    await this.#writer.commit({
      kind: 'import',
      staged: [...this.#staged, ...checks],
      next,
      sources,
    })
    return {
      transactions: this.#next.transactions - this.#begin.transactions,
      labels: this.#next.labels - this.#begin.labels,
      skipped: this.#skipped,
      files,
      commit,
    }
  }

  #read(
    read: ReadRow,
    file: string,
    line: number,
    cells: readonly string[],
    rowId: string,
  ): ReplayRow | null {
    try {
      return read(cells, rowId)
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      if (!this.#options.skipBad) throw badRowError(file, line, error)
      this.#count(error.reason)
      return null
    }
  }

  async #add({ transaction, verdict }: ReplayRow): Promise<void> {
    this.#buffers ??= await this.#openBuffers()
    const { transactions, labels } = this.#buffers
    const { genuineLabels, labelDelayMs } = this.#options
    const positionIn = (table: ImportedTable) => {
      const offset = this.#next[table]
      this.#next[table] += 1
      return { partition: IMPORT_PARTITION, offset, sentAtMs: null }
    }
    const position = positionIn('transactions')
    const { timeMs, row } = transactionRow(position, transaction)
    transactions.add(IMPORT_PARTITION, position.offset, timeMs, row)
    if (verdict === 'fraud' || (verdict === 'genuine' && genuineLabels)) {
      const labelPosition = positionIn('labels')
      const made = labelRow(labelPosition, labelOfRow(transaction, verdict, labelDelayMs))
      labels.add(IMPORT_PARTITION, labelPosition.offset, made.timeMs, made.row)
    }
    if (transactions.rows >= ROWS_MAX) await this.#stage()
  }

  async #openBuffers(): Promise<Readonly<Record<ImportedTable, RowBuffer>>> {
    this.#chunks += 1
    const open = (table: ImportedTable): Promise<RowBuffer> =>
      RowBuffer.open(this.#session, table, `${table}_${this.#chunks}`)
    return { transactions: await open('transactions'), labels: await open('labels') }
  }

  async #stage(): Promise<void> {
    if (this.#buffers === null) return
    const commit = this.#writer.state.sequence + 1
    for (const table of TABLES) {
      const buffer = this.#buffers[table]
      const made = await stageBuffer(this.#session, this.#writer.staging, buffer, commit)
      this.#staged.push(...made.staged)
      this.#results.push(...made.results)
      await buffer.close()
    }
    this.#buffers = null
  }

  #count(reason: BadRowReason): void {
    this.#skipped[reason] = (this.#skipped[reason] ?? 0) + 1
  }
}

async function digests(files: readonly string[]): Promise<readonly ImportedSource[]> {
  if (files.length > FILES_MAX) {
    throw new SluiceError('SLUICE_USAGE', `Give at most ${FILES_MAX} files at a time.`)
  }
  const sources: ImportedSource[] = []
  for (const file of files) {
    refuseOtherNames(file)
    try {
      sources.push({ name: basename(file), sha256: (await digestOf(file)).sha256 })
    } catch (error) {
      if (!['ENOENT', 'EISDIR', 'EACCES'].includes(errorCodeOf(error))) throw error
      throw unreadable(file, error)
    }
  }
  return sources
}

function refuseKnown(writer: LakeWriter, sources: readonly ImportedSource[]): void {
  const known = new Map(writer.state.sources.map(({ name, sha256 }) => [sha256, name]))
  const found = sources.find(({ sha256 }) => known.has(sha256))
  if (found === undefined) return
  throw new SluiceError(
    'SLUICE_USAGE',
    `${found.name} was imported before, as ${known.get(found.sha256) ?? ''}; its rows would be duplicated. Leave it out, ` +
      'or give --again.',
  )
}
