// Reasons for what is flagged or blocked, from one more matrix: each feature in turn at its usual value.

import { reasonsOf, writeOcclusions } from '../core/decision/reasons.ts'
import { FEATURE_COUNT } from '../core/features/feature-list.ts'
import type { Reason } from '../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'

/** A row that wants reasons, and its score. */
export interface Explained {
  readonly row: Float64Array
  readonly score: number
}

/** Reasons per row, in order. */
export async function explainRows(
  explained: readonly Explained[],
  { usual, score }: Pick<DecideOptions, 'usual' | 'score'>,
): Promise<readonly (readonly Reason[])[]> {
  if (explained.length === 0) return []
  const stride = FEATURE_COUNT * FEATURE_COUNT
  const occluded = new Float64Array(explained.length * stride)
  for (const [position, { row }] of explained.entries()) {
    writeOcclusions(row, usual, occluded, position * stride)
  }
  const scores = await score(occluded, explained.length * FEATURE_COUNT)
  return explained.map(({ row, score: own }, position) =>
    reasonsOf(row, usual, own, scores, position * FEATURE_COUNT),
  )
}
