// Replay of CSV files: rows become transactions and their label column becomes labels known a fixed time later, merged in
// the order in which they become known.

import { basename } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { findMapping } from '../core/files/column-mapping.ts'
import type { ColumnMapping, FieldConstants } from '../core/files/column-mapping.ts'
import type { TimeRange } from '../core/files/event-time.ts'
import {
  BadRow,
  badRowError,
  type BadRowReason,
  compileRowReader,
  labelOfRow,
  type ReadRow,
  type ReplayRow,
  type SkippedRows,
} from '../core/files/row-reader.ts'
import type { Label } from '../core/transaction.ts'
import { listCsvFiles, readCsvRows } from '../platform/files/csv-files.ts'
import type { CsvRow } from '../platform/files/csv-files.ts'
import { EventQueue } from './event-queue.ts'
import type { StreamEvent } from './stream-event.ts'

const DAY_MS = 86_400_000
/** Limit on labels not yet due, about 2 GB. */
const LABELS_DUE_MAX = 5_000_000
/** Limit on the rows of one file for sorting in memory, about 2 GB. */
const SORT_ROWS_MAX = 5_000_000

export interface ReplayOptions {
  /** Files and folders, read in this order. */
  readonly paths: readonly string[]
  /** Fields not given are derived from the header. */
  readonly mapping: ColumnMapping
  readonly constants: FieldConstants
  /** Range of event times to replay. */
  readonly bounds: TimeRange
  readonly labelDelayMs: number
  /** Also send labels of genuine transactions. */
  readonly genuineLabels: boolean
  /** Count and skip rows that cannot be sent, instead of stopping at the first. */
  readonly skipBad: boolean
  /** Sort the rows of each file by time, instead of refusing files out of order. */
  readonly sort: boolean
  readonly delimiter: string
  /** Limit on transactions; null for none. */
  readonly transactionsMax: number | null
}

/** Default options. */
const REPLAY_DEFAULTS: Omit<ReplayOptions, 'paths'> = Object.freeze({
  mapping: {},
  constants: {},
  bounds: { fromMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY },
  labelDelayMs: 7 * DAY_MS,
  genuineLabels: false,
  skipBad: false,
  sort: false,
  delimiter: ',',
  transactionsMax: null,
})

/** Called once for each different mapping; `file` is the first with it. */
export type OnMapping = (file: string, mapping: ColumnMapping) => void

/** A replay that has not started. It can be iterated once. */
export interface Replay extends AsyncIterable<StreamEvent> {
  readonly files: readonly string[]
  /** Rows skipped so far, by reason. */
  skipped(): SkippedRows
}

/**
 * Finds the files; rows are read during iteration.
 * @throws SluiceError SLUICE_INPUT_INVALID when there are no files. Iteration throws it for a missing column or a bad row.
 */
export async function openReplay(
  options: Pick<ReplayOptions, 'paths'> & Partial<ReplayOptions>,
  onMapping: OnMapping = () => undefined,
): Promise<Replay> {
  const complete: ReplayOptions = { ...REPLAY_DEFAULTS, ...options }
  const files = await listCsvFiles(complete.paths, complete.bounds)
  const reader = new ReplayReader(complete, onMapping)
  return {
    files,
    skipped: () => reader.skipped(),
    [Symbol.asyncIterator]: () => reader.events(files),
  }
}

interface Position {
  readonly file: string
  readonly line: number
}

interface TimedRow extends ReplayRow {
  readonly line: number
}

class ReplayReader {
  readonly #options: ReplayOptions
  readonly #onMapping: OnMapping
  readonly #skipped: Partial<Record<BadRowReason, number>> = {}
  readonly #labels = new EventQueue<Label>()
  #lastMs = Number.NEGATIVE_INFINITY
  #last: Position | null = null
  #mappingShown = ''

  constructor(options: ReplayOptions, onMapping: OnMapping) {
    this.#options = options
    this.#onMapping = onMapping
  }

  skipped(): SkippedRows {
    return { ...this.#skipped }
  }

  async *events(files: readonly string[]): AsyncGenerator<StreamEvent, void, undefined> {
    const transactionsMax = this.#options.transactionsMax ?? Number.POSITIVE_INFINITY
    let transactionCount = 0
    reading: for (const file of files) {
      const rows = this.#options.sort ? this.#sorted(file) : this.#rows(file)
      for await (const row of rows) {
        if (transactionCount >= transactionsMax) break reading
        const { transaction } = row
        if (!this.#isInOrder(file, row)) continue
        yield* this.#labelsUntil(transaction.eventTimeMs)
        transactionCount += 1
        yield { kind: 'transaction', transaction, fraudPattern: null }
        this.#queueLabel(file, row)
      }
    }
    yield* this.#labelsUntil(Number.POSITIVE_INFINITY)
  }

  async *#rows(file: string): AsyncGenerator<TimedRow, void, undefined> {
    const { delimiter, skipBad, bounds } = this.#options
    const onBadCsv = (): void => {
      this.#count('not_csv')
    }
    let read: ReadRow | null = null
    const name = basename(file)
    for await (const row of readCsvRows(file, delimiter, skipBad ? onBadCsv : null)) {
      if (read === null) {
        read = this.#compile(file, row.cells)
        continue
      }
      const found = this.#read(read, file, `${name}:${row.line}`, row)
      if (found === null) continue
      const { eventTimeMs } = found.transaction
      if (eventTimeMs >= bounds.fromMs && eventTimeMs < bounds.endMs) yield found
    }
    if (read === null) {
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `${file} is empty; it needs a header line and rows.`,
      )
    }
  }

  async *#sorted(file: string): AsyncGenerator<TimedRow, void, undefined> {
    const rows: TimedRow[] = []
    for await (const row of this.#rows(file)) {
      if (rows.length === SORT_ROWS_MAX) {
        throw new SluiceError(
          'SLUICE_INPUT_INVALID',
          `${file} has more than ${SORT_ROWS_MAX} rows, too many for --sort; split it by time.`,
        )
      }
      rows.push(row)
    }
    rows.sort((left, right) => left.transaction.eventTimeMs - right.transaction.eventTimeMs)
    yield* rows
  }

  #compile(file: string, header: readonly string[]): ReadRow {
    const { mapping: given, constants } = this.#options
    const mapping = findMapping(file, header, given, constants)
    const shown = JSON.stringify(mapping)
    if (shown !== this.#mappingShown) {
      this.#mappingShown = shown
      this.#onMapping(file, mapping)
    }
    return compileRowReader(header, mapping, constants)
  }

  #read(read: ReadRow, file: string, rowId: string, row: CsvRow): TimedRow | null {
    try {
      const { transaction, verdict } = read(row.cells, rowId)
      return { transaction, verdict, line: row.line }
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      return this.#refuse({ file, line: row.line }, error)
    }
  }

  #isInOrder(file: string, row: TimedRow): boolean {
    const { eventTimeMs } = row.transaction
    if (eventTimeMs >= this.#lastMs) {
      this.#lastMs = eventTimeMs
      this.#last = { file, line: row.line }
      return true
    }
    const last = this.#last
    const before = last === null ? '' : ` at ${last.file} line ${last.line}`
    const problem = `is before ${new Date(this.#lastMs).toISOString()}${before}, which came first`
    const value = new Date(eventTimeMs).toISOString()
    const column = this.#options.mapping.eventTime ?? null
    this.#refuse({ file, line: row.line }, new BadRow('out_of_order', column, value, problem))
    return false
  }

  /** Counts the row when bad rows are skipped; otherwise throws. */
  #refuse(position: Position, row: BadRow): null {
    if (!this.#options.skipBad) throw badRowError(position.file, position.line, row)
    this.#count(row.reason)
    return null
  }

  #count(reason: BadRowReason): void {
    this.#skipped[reason] = (this.#skipped[reason] ?? 0) + 1
  }

  #queueLabel(file: string, row: TimedRow): void {
    const { verdict, transaction } = row
    if (verdict === null || (verdict === 'genuine' && !this.#options.genuineLabels)) return
    if (this.#labels.size === LABELS_DUE_MAX) {
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `${file} line ${row.line}: more than ${LABELS_DUE_MAX} labels are due; shorten --label-delay.`,
      )
    }
    const label = labelOfRow(transaction, verdict, this.#options.labelDelayMs)
    this.#labels.push(label.knownAtMs, label)
  }

  *#labelsUntil(timeMs: number): Generator<StreamEvent, void, undefined> {
    while (this.#labels.size > 0 && this.#labels.nextTimeMs <= timeMs) {
      const label = this.#labels.pop()
      if (label !== undefined) yield { kind: 'label', label }
    }
  }
}
