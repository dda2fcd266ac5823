// Scores rows with the candidate, a matrix at a time, and counts who is alerted.

import { FEATURE_COUNT } from '../../core/features/feature-list.ts'
import type { FairnessCounts, FairnessRule } from '../../core/scoring/fairness.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'

const ROWS_AT_ONCE = 2_048

/** What a gate counts with. */
export interface GateSource {
  readonly candidate: ScoringModel
  readonly rule: FairnessRule
  readonly counts: FairnessCounts
}

export class CandidateRows {
  readonly #source: GateSource
  readonly #matrix = new Float64Array(ROWS_AT_ONCE * FEATURE_COUNT)
  #waiting: { readonly values: readonly string[]; readonly isFraud: boolean }[] = []
  /** Rows that the candidate gives no score; they are not counted. */
  notScored = 0

  constructor(source: GateSource) {
    this.#source = source
  }

  /** `row` is copied. */
  async add(row: Float64Array, values: readonly string[], isFraud: boolean): Promise<void> {
    this.#matrix.set(row, this.#waiting.length * FEATURE_COUNT)
    this.#waiting.push({ values, isFraud })
    if (this.#waiting.length === ROWS_AT_ONCE) await this.flush()
  }

  /** To be called at the end. */
  async flush(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    const { candidate } = this.#source
    const scores = await candidate.score(this.#matrix, waiting.length)
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
