// Rows of a backtest from others' files: features by the fold that the scorer and the trainer use, scores from a column
// or from a model.

import type { Thresholds } from '../../core/decision/decide.ts'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { type BadRowReason, labelOfRow } from '../../core/files/row-reader.ts'
import type { ColumnMapping } from '../../core/files/column-mapping.ts'
import { HistoryFold } from '../../core/features/engine/history-fold.ts'
import type { ImportMapping } from '../../core/lake/import-mapping.ts'
import type { BacktestRow } from '../../core/backtest/backtest-row.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Label } from '../../core/transaction.ts'
import { readMappedRows, type MappedRow } from '../../lake/index.ts'
import { printProgress } from '../command.ts'
import type { ListsOfRows } from './lists-of-rows.ts'
import { RowBatch } from './row-batch.ts'
import type { RowSource } from './row-source.ts'

const PROGRESS_ROWS = 100_000

export interface FileSourceOptions {
  readonly files: readonly string[]
  readonly fromMs: number
  readonly endMs: number
  /** Infinity: labels of files are final. */
  readonly asOfMs: number
  readonly mapping: ImportMapping
  readonly onMapping: (file: string, mapping: ColumnMapping) => void
  readonly delimiter: string
  readonly scoreColumn: string
  readonly sort: boolean
  readonly skipBad: boolean
  /** When labels are known, after the event time; features of known fraud go by it. */
  readonly labelDelayMs: number
  /** Scores rows without a score of their own; null for none. */
  readonly model: ScoringModel | null
  readonly modelThresholds: Thresholds
  readonly lists: ListsOfRows
}

/** Rows before the range are history of the others. */
export function openFileSource(options: FileSourceOptions): RowSource {
  const { files, model } = options
  const leftOut: Record<string, number> = {}
  const count = (reason: string): void => {
    leftOut[reason] = (leftOut[reason] ?? 0) + 1
  }
  return {
    name: files.length === 1 ? `file ${files[0] ?? ''}` : `${files.length} files`,
    asOfMs: options.asOfMs,
    warnings: [],
    rows: (signal) => new FileRows(options, count).rows(signal),
    leftOut: () => ({ ...leftOut }),
    emptyProblem: () => 'The files have no transaction in the range; change --from and --to.',
    close: () => {
      model?.close()
      return Promise.resolve()
    },
  }
}

class FileRows {
  readonly #options: FileSourceOptions
  readonly #count: (reason: string) => void
  readonly #fold = new HistoryFold({ rates: DEFAULT_RATES })
  /** Labels that are not known yet, the oldest first: all take equally long. */
  #due: Label[] = []
  #dueAt = 0
  #read = 0

  constructor(options: FileSourceOptions, count: (reason: string) => void) {
    this.#options = options
    this.#count = count
  }

  async *rows(signal: AbortSignal): AsyncGenerator<readonly BacktestRow[], void, undefined> {
    const { endMs, model, modelThresholds } = this.#options
    // Files do not say what decided.
    const lists = await this.#options.lists.of(null)
    const batch = new RowBatch(model, modelThresholds, lists)
    const onBad = (reason: BadRowReason): void => {
      this.#count(reason)
    }
    for await (const row of readMappedRows({ ...this.#options, onBad }, signal)) {
      this.#read += 1
      if (this.#read % PROGRESS_ROWS === 0) printProgress(`${this.#read} rows read`)
      // Rows come in the order of time.
      if (row.transaction.eventTimeMs >= endMs) break
      this.#take(row, batch)
      if (batch.isFull) {
        signal.throwIfAborted()
        yield await batch.finish()
      }
    }
    yield await batch.finish()
  }

  #take({ transaction, verdict, score, line }: MappedRow, batch: RowBatch): void {
    const { eventTimeMs, currency } = transaction
    const { fromMs, labelDelayMs, model, scoreColumn } = this.#options
    if (score === null && model === null) {
      throw new SluiceError(
        'SLUICE_USAGE',
        `The files have no column "${scoreColumn}" with scores (line ${line}): name it with --score-column, or score them with --model <folder>.`,
      )
    }
    if (DEFAULT_RATES.toReferenceMinor(1, currency, eventTimeMs) === null) {
      this.#count('without_rate')
      return
    }
    this.#learn(eventTimeMs)
    const place = batch.reserve()
    this.#fold.sequence(transaction, place.sequence, 0)
    const { duplicateOfOffset, amountMinor, annotations } = this.#fold.transaction(
      transaction,
      place.row,
      0,
    )
    const label = verdict === null ? null : labelOfRow(transaction, verdict, labelDelayMs)
    if (label !== null) this.#due.push(label)
    if (duplicateOfOffset !== null) {
      this.#count('duplicate')
      return
    }
    if (eventTimeMs < fromMs) return
    this.#options.lists.count(batch.lists, null)
    batch.add({
      transaction,
      score,
      annotations,
      referenceMinor: amountMinor,
      label: verdict === null ? null : { verdict, knownAtMs: eventTimeMs + labelDelayMs },
    })
  }

  /** Takes in what is known by now. */
  #learn(nowMs: number): void {
    for (; (this.#due[this.#dueAt]?.knownAtMs ?? Infinity) <= nowMs; this.#dueAt += 1) {
      const label = this.#due[this.#dueAt]
      if (label !== undefined) this.#fold.label(label)
    }
    if (this.#dueAt < PROGRESS_ROWS) return
    this.#due = this.#due.slice(this.#dueAt)
    this.#dueAt = 0
  }
}
