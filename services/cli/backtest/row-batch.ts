// Rows of files on their way to a policy: scored a matrix at a time where they have no score of their own.

import type { Thresholds } from '../../core/decision/decide.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { STATE } from '../../core/features/engine/feature-states.ts'
import type { PolicyLists } from '../../core/policy/policy-lists.ts'
import type { KnownLabel, BacktestRow } from '../../core/backtest/backtest-row.ts'
import { scoreCascade, type CascadeScores } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Transaction } from '../../core/transaction.ts'

const ROWS_MAX = 2_048

/** A row without its features. */
export interface BatchedRow {
  readonly transaction: Transaction
  /** NaN is not scored; null asks the model. */
  readonly score: number | null
  readonly annotations: readonly string[]
  readonly referenceMinor: number
  readonly label: KnownLabel | null
}

export class RowBatch {
  /** Of all rows. */
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

  /** Where the features of the next row are to be written; not before the batch was finished when it is full. */
  reserve(): { readonly row: Float64Array; readonly sequence: Float64Array } {
    const at = this.#rows.length
    return {
      row: this.#values.subarray(at * FEATURE_COUNT, (at + 1) * FEATURE_COUNT),
      sequence: this.#sequences.subarray(at * SEQUENCE_LENGTH, (at + 1) * SEQUENCE_LENGTH),
    }
  }

  /** Adds the row whose features were written. */
  add(row: BatchedRow): void {
    this.#rows.push(row)
  }

  /** All rows since the last time, scored. */
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
