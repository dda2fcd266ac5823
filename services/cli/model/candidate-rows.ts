// Scores rows with the candidate, a matrix at a time, and counts who is alerted.

import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { FairnessCounts, FairnessRule } from '../../core/scoring/fairness.ts'
import { scoreCascade } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'

const ROWS_AT_ONCE = 2_048

/** What a gate counts with. */
export interface GateSource {
  readonly candidate: ScoringModel
  readonly rule: FairnessRule
  readonly counts: FairnessCounts
}

/** What the target of a cascade reads beside the features. */
export interface RowPast {
  /** Minor units of the reference currency. */
  readonly amountMinor: number
  /** SEQUENCE_LENGTH numbers: the card's payments before (see writeSequence). */
  readonly sequence: Float64Array
}

export class CandidateRows {
  readonly #source: GateSource
  readonly #matrix = new Float64Array(ROWS_AT_ONCE * FEATURE_COUNT)
  readonly #sequences = new Float64Array(ROWS_AT_ONCE * SEQUENCE_LENGTH)
  readonly #amountsMinor = new Float64Array(ROWS_AT_ONCE)
  /** With the payments before, all rows alike: a cascade is asked as a whole. */
  readonly #hasPast: boolean
  #waiting: { readonly values: readonly string[]; readonly isFraud: boolean }[] = []
  /** Rows that the candidate gives no score; they are not counted. */
  notScored = 0

  constructor(source: GateSource, hasPast = false) {
    this.#source = source
    this.#hasPast = hasPast
  }

  /** `row` and `past` are copied. */
  async add(
    row: Float64Array,
    values: readonly string[],
    isFraud: boolean,
    past: RowPast | null = null,
  ): Promise<void> {
    const at = this.#waiting.length
    this.#matrix.set(row, at * FEATURE_COUNT)
    if (past !== null) {
      this.#sequences.set(past.sequence, at * SEQUENCE_LENGTH)
      this.#amountsMinor[at] = past.amountMinor
    }
    this.#waiting.push({ values, isFraud })
    if (this.#waiting.length === ROWS_AT_ONCE) await this.flush()
  }

  /** To be called at the end. */
  async flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    const { candidate } = this.#source
    const rows = {
      rows: this.#matrix,
      sequences: this.#sequences,
      amountsMinor: this.#amountsMinor,
    }
    const scores = this.#hasPast
      ? (await scoreCascade(candidate, rows, waiting.length)).scores
      : await candidate.score(this.#matrix, waiting.length)
    for (const [index, { values, isFraud }] of waiting.entries()) {
      const score = scores[index] ?? NaN
      if (Number.isNaN(score)) this.notScored += 1
      else countScore(this.#source, score, values, isFraud)
    }
  }
}

/** Counts one row by its score. */
export function countScore(
  { candidate: { info }, rule, counts }: GateSource,
  score: number,
  values: readonly string[],
  isFraud: boolean,
): void {
  const threshold = rule.threshold === 'block' ? info.blockThreshold : info.flagThreshold
  counts.add(values, isFraud, score >= threshold)
}
