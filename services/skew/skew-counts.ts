// Counts what a replay says of rows, until somebody takes the counts: telling each value apart costs too much.

import { FEATURE_COUNT, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import type { ReplayedRow } from '../core/features/provenance/replay-rows.ts'
import { NOT_COMPARED, VERDICT } from '../core/features/provenance/row-comparison.ts'
import type { ComparedCounts } from '../platform/metrics/skew-telemetry.ts'

/** The first difference of a stretch, for the log. */
export interface Difference {
  readonly partition: number
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly feature: string
  readonly recorded: number
  readonly recomputed: number
  /** Features of this decision that differ. */
  readonly features: number
}

export class SkewCounts {
  #decisions = 0
  #compared = new Uint32Array(FEATURE_COUNT)
  #mismatches = new Uint32Array(FEATURE_COUNT)
  #notCompared = new Uint32Array(NOT_COMPARED.length)
  #first: Difference | null = null

  add(row: ReplayedRow): void {
    const { verdicts } = row
    this.#decisions += 1
    let differing = 0
    for (let index = 0; index < FEATURE_COUNT; index += 1) {
      const verdict = verdicts[index] ?? VERDICT.other
      if (verdict >= VERDICT.other) {
        bump(this.#notCompared, verdict - VERDICT.other)
        continue
      }
      bump(this.#compared, index)
      if (verdict !== VERDICT.differs) continue
      bump(this.#mismatches, index)
      differing += 1
    }
    if (differing > 0) this.#first ??= differenceOf(row, differing)
  }

  /** Hands over what was counted since the last time. */
  take(): { readonly counts: ComparedCounts; readonly first: Difference | null } {
    const counts = {
      decisions: this.#decisions,
      compared: this.#compared,
      mismatches: this.#mismatches,
      notCompared: this.#notCompared,
    }
    const first = this.#first
    this.#decisions = 0
    this.#compared = new Uint32Array(FEATURE_COUNT)
    this.#mismatches = new Uint32Array(FEATURE_COUNT)
    this.#notCompared = new Uint32Array(NOT_COMPARED.length)
    this.#first = null
    return { counts, first }
  }
}

function bump(counts: Uint32Array, index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}

function differenceOf(
  { block, recorded, values, verdicts }: ReplayedRow,
  features: number,
): Difference {
  const index = verdicts.indexOf(VERDICT.differs)
  const { offset, revision, transactionId } = recorded.decision
  return {
    partition: block.partition,
    offset,
    revision,
    transactionId,
    feature: FEATURE_NAMES[index] ?? '',
    recorded: recorded.values[index] ?? NaN,
    recomputed: values[index] ?? NaN,
    features,
  }
}
