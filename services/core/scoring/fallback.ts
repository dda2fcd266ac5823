// When scoring runs on something else than it should (P7: a fallback is never silent).

import {
  BACKENDS,
  type Backend,
  type BackendTrial,
  type RefusalReason,
  type ScoringModelInfo,
} from './scoring-model.ts'

/**
 * What an operator may expect to score. `none` and `auto`: whatever works best is as it should be. `gpu`: any backend,
 * if it computes on a GPU.
 */
export const EXPECTATIONS = ['none', 'auto', 'gpu', 'tensorflow-gpu', ...BACKENDS] as const
export type Expectation = (typeof EXPECTATIONS)[number]

/** True when another backend is in use than expected, or one that is present was refused. */
export function isFallback(
  expected: Expectation,
  { backend, isOnGpu, trials }: Pick<ScoringModelInfo, 'backend' | 'isOnGpu' | 'trials'>,
): boolean {
  if (refusedBackends(trials).length > 0) return true
  if (expected === 'none' || expected === 'auto') return false
  if (expected === 'gpu') return !isOnGpu
  if (expected === 'tensorflow-gpu') return backend !== 'tensorflow' || !isOnGpu
  return backend !== expected
}

/** Backends that are present and were not taken, with why. One that is not installed is not refused. */
export function refusedBackends(
  trials: readonly BackendTrial[],
): readonly { readonly backend: Backend; readonly reason: RefusalReason }[] {
  return trials.flatMap(({ backend, refusal }) =>
    refusal === null ? [] : [{ backend, reason: refusal }],
  )
}
