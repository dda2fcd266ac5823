// Sources of the rows of a backtest: the lake, and CSV files.

import type { BacktestRow, KnownLabel } from '../../core/backtest/backtest-row.ts'
import type { Thresholds } from '../../core/decision/decide.ts'
import { isAnnotationOfRuling, shownAnnotations } from '../../core/decision/shown-annotations.ts'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { STATE } from '../../core/features/engine/feature-states.ts'
import { HistoryFold } from '../../core/features/engine/history-fold.ts'
import type { ColumnMapping } from '../../core/files/column-mapping.ts'
import { type BadRowReason, labelOfRow } from '../../core/files/row-reader.ts'
import type { ImportMapping } from '../../core/lake/import-mapping.ts'
import { erasedText } from '../../core/lake/lake-log.ts'
import type { PolicyLists } from '../../core/policy/policy-lists.ts'
import { type CascadeScores, scoreCascade } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Label, Transaction } from '../../core/transaction.ts'
import {
  type DecidedRow,
  type MappedRow,
  openDecided,
  readErasures,
  readMappedRows,
} from '../../lake/index.ts'
import { printProgress } from '../command.ts'
import type { DecidedBy, ListsOfRows, ModelThresholds } from './load-policies.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

/** Rows in event-time order, read once. */
export interface RowSource {
  /** The source in words, for the report. */
  readonly name: string
  /** Time at which labels are read; Infinity when labels are final. */
  readonly asOfMs: number
  /** Yields rows in chunks. A row's arrays are valid until the next chunk is requested. */
  rows(signal: AbortSignal): AsyncGenerator<readonly BacktestRow[], void, undefined>
  /** Rows that were left out so far, by reason. */
  leftOut(): Readonly<Record<string, number>>
  /** Caveats of the rows, for the report. */
  readonly warnings: readonly string[]
  /** Reason for which there may be no rows, and the remedy. */
  emptyProblem(): string
  close(): Promise<void>
}

// Batches rows of files for the policies. Rows without a score are scored as one matrix.

const ROWS_MAX = 2_048

/** A row without its features. */
interface BatchedRow {
  readonly transaction: Transaction
  /** NaN means not scored; null asks the model. */
  readonly score: number | null
  readonly annotations: readonly string[]
  readonly referenceMinor: number
  readonly label: KnownLabel | null
}

class RowBatch {
  /** Lists that apply to all rows. */
  readonly lists: PolicyLists
  readonly #model: ScoringModel | null
  readonly #modelThresholds: Thresholds
  readonly #values = new Float64Array(ROWS_MAX * FEATURE_COUNT)
  readonly #states = new Uint8Array(ROWS_MAX * FEATURE_COUNT)
  readonly #sequences = new Float64Array(ROWS_MAX * SEQUENCE_LENGTH)
  #rows: BatchedRow[] = []

  constructor(model: ScoringModel | null, modelThresholds: Thresholds, lists: PolicyLists) {
    this.lists = lists
    this.#model = model
    this.#modelThresholds = modelThresholds
  }

  get isFull(): boolean {
    return this.#rows.length === ROWS_MAX
  }

  /** Buffers for the features of the next row. When the batch is full, call `finish` first. */
  reserve(): { readonly row: Float64Array; readonly sequence: Float64Array } {
    const at = this.#rows.length
    return {
      row: this.#values.subarray(at * FEATURE_COUNT, (at + 1) * FEATURE_COUNT),
      sequence: this.#sequences.subarray(at * SEQUENCE_LENGTH, (at + 1) * SEQUENCE_LENGTH),
    }
  }

  /** Adds the row whose features are in the buffers. */
  add(row: BatchedRow): void {
    this.#rows.push(row)
  }

  /** Scores the rows added since the last call, and returns them. */
  async finish(): Promise<readonly BacktestRow[]> {
    const rows = this.#rows
    this.#rows = []
    const isAsked = rows.some(({ score }) => score === null)
    const scored = isAsked && this.#model !== null ? await this.#score(this.#model, rows) : null
    const modelThresholds = this.#modelThresholds
    return rows.map((batched, at) => {
      const { transaction, referenceMinor, label, annotations } = batched
      const isModelled = batched.score === null
      const row = this.#values.subarray(at * FEATURE_COUNT, (at + 1) * FEATURE_COUNT)
      const states = this.#states.subarray(at * FEATURE_COUNT, (at + 1) * FEATURE_COUNT)
      for (let feature = 0; feature < FEATURE_COUNT; feature += 1) {
        states[feature] = Number.isNaN(row[feature]) ? STATE.absent : STATE.present
      }
      const mark = isModelled ? scored?.annotations.get(at) : undefined
      return {
        input: {
          ...{ transaction, row, states, referenceMinor, modelThresholds },
          score: batched.score ?? scored?.scores[at] ?? NaN,
          annotations: mark === undefined ? annotations : [...annotations, mark],
        },
        lists: this.lists,
        decided: null,
        label,
      }
    })
  }

  #score(model: ScoringModel, rows: readonly BatchedRow[]): Promise<CascadeScores> {
    const amountsMinor = Float64Array.from(rows, ({ referenceMinor }) => referenceMinor)
    const all = { rows: this.#values, sequences: this.#sequences, amountsMinor }
    return scoreCascade(model, all, rows.length)
  }
}

// Reads rows from the lake, with features, scores and annotations as recorded by the decision.

interface LakeSourceOptions {
  readonly folder: string
  readonly fromMs: number
  readonly endMs: number
  /** Null means the newest moment that the lake holds. */
  readonly asOfMs: number | null
  /** Reads only decisions from this time of the scorer's clock on; all when absent. */
  readonly decidedFromMs?: number
  readonly features: readonly string[]
  readonly thresholds: ModelThresholds
  readonly lists: ListsOfRows
}

const NO_ANNOTATIONS: readonly string[] = []

/** @throws SluiceError as openDecided. */
export async function openLakeSource(options: LakeSourceOptions): Promise<RowSource> {
  const { folder } = options
  const erased = erasedText(await readErasures(folder))
  const decided = await openDecided(options)
  const withoutRate = { count: 0 }
  return {
    name: `lake ${folder}`,
    asOfMs: decided.asOfMs,
    warnings: erased === null ? [] : [erased],
    async *rows(signal) {
      for (const [index, day] of decided.days.entries()) {
        for await (const chunk of decided.rows(day)) {
          signal.throwIfAborted()
          yield await backtestRows(chunk, options, withoutRate)
        }
        printProgress(`${day}, day ${index + 1} of ${decided.days.length}`)
      }
    },
    leftOut: () => ({ ...decided.leftOut, without_rate: withoutRate.count }),
    emptyProblem: () => {
      const { span } = decided
      if (span === null) {
        return `${folder} holds no decisions; "sluice lake ingest" takes them from the topics. Files of others are backtested with --data.`
      }
      const [first, last] = [span.firstMs, span.lastMs].map((ms) => new Date(ms).toISOString())
      return `${folder} has decisions from ${first ?? ''} to ${last ?? ''}; change --from and --to.`
    },
    close: () => decided.close(),
  }
}

async function backtestRows(
  chunk: readonly DecidedRow[],
  { thresholds, lists: listsOfRows }: LakeSourceOptions,
  withoutRate: { count: number },
): Promise<readonly BacktestRow[]> {
  const rows: BacktestRow[] = []
  let [digest, modelThresholds] = ['', null as Thresholds | null]
  let [by, lists] = [null as DecidedBy, null as PolicyLists | null]
  for (const { transaction, row, states, score, annotations, ...rest } of chunk) {
    if (modelThresholds === null || rest.modelDigest !== digest) {
      digest = rest.modelDigest
      modelThresholds = await thresholds.of(digest)
    }
    if (lists === null || by?.digest !== rest.policyDigest) {
      by = { digest: rest.policyDigest, version: rest.policyVersion }
      lists = await listsOfRows.of(by)
    }
    const { amountMinor, currency, eventTimeMs } = transaction
    const referenceMinor = configuredRates().toReferenceMinor(amountMinor, currency, eventTimeMs)
    if (referenceMinor === null) {
      withoutRate.count += 1
      continue
    }
    listsOfRows.count(lists, by)
    // Annotations that the deciding policy added are no input of another policy.
    const own = shownAnnotations(annotations)
    const said = own === annotations ? NO_ANNOTATIONS : annotations.filter(isAnnotationOfRuling)
    rows.push({
      input: { transaction, row, states, score, referenceMinor, modelThresholds, annotations: own },
      lists,
      decided: { outcome: rest.outcome, rules: rest.rules, annotations: said },
      label: rest.label,
    })
  }
  return rows
}

// Reads rows from CSV files: features are computed by the same code as in the scorer and the trainer, scores come from
// a column or from a model.

const PROGRESS_ROWS = 100_000

interface FileSourceOptions {
  readonly files: readonly string[]
  readonly fromMs: number
  readonly endMs: number
  /** Infinity, because labels of files are final. */
  readonly asOfMs: number
  readonly mapping: ImportMapping
  readonly onMapping: (file: string, mapping: ColumnMapping) => void
  readonly delimiter: string
  readonly scoreColumn: string
  readonly sort: boolean
  readonly skipBad: boolean
  /** Delay between an event and its label; features of known fraud depend on it. */
  readonly labelDelayMs: number
  /** The model that scores rows without a score; null for none. */
  readonly model: ScoringModel | null
  readonly modelThresholds: Thresholds
  readonly lists: ListsOfRows
}

/** Rows before the range serve as history. */
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
  readonly #fold = new HistoryFold({ rates: configuredRates() })
  /** Labels that are not known yet, oldest first: all have the same delay. */
  #due: Label[] = []
  #dueAt = 0
  #read = 0

  constructor(options: FileSourceOptions, count: (reason: string) => void) {
    this.#options = options
    this.#count = count
  }

  async *rows(signal: AbortSignal): AsyncGenerator<readonly BacktestRow[], void, undefined> {
    const { endMs, model, modelThresholds } = this.#options
    // Files do not record the deciding ruleset.
    const lists = await this.#options.lists.of(null)
    const batch = new RowBatch(model, modelThresholds, lists)
    const onBad = (reason: BadRowReason): void => {
      this.#count(reason)
    }
    for await (const row of readMappedRows({ ...this.#options, onBad }, signal)) {
      this.#read += 1
      if (this.#read % PROGRESS_ROWS === 0) printProgress(`${this.#read} rows read`)
      // Rows come in time order.
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
    if (configuredRates().toReferenceMinor(1, currency, eventTimeMs) === null) {
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

  /** Applies the labels that are known at this time. */
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
