// What was erased from a lake, for those who read its history and must say what it lacks.

import type { LakeErasure } from '../core/lake/erasure.ts'
import { readLakeState } from '../platform/lake/commit-log.ts'

/** Oldest first; none where there is no lake. @throws SluiceError SLUICE_LAKE_DAMAGED when its log does not fold. */
export async function readErasures(folder: string): Promise<readonly LakeErasure[]> {
  return (await readLakeState(folder)).erasures
}
