// On which thread a model is scored when nobody says it.

import type { ScoringModelInfo, ScoringThread } from './scoring-model.ts'

/**
 * A working batch that takes longer is scored in a thread of its own. Sending rows there costs up to half a
 * millisecond of the main thread (docs/adr/0014).
 */
const MAIN_THREAD_MICROSECONDS_MAX = 4_000

/** A thread of its own where a batch would hold up everything else; who only waits for a GPU holds up nothing. */
export function threadFor({
  backend,
  trials,
}: Pick<ScoringModelInfo, 'backend' | 'trials'>): ScoringThread {
  if (backend === 'webgpu') return 'main'
  const used = trials.find(({ result }) => result === 'used')
  return (used?.batchMicroseconds ?? 0) > MAIN_THREAD_MICROSECONDS_MAX ? 'worker' : 'main'
}
