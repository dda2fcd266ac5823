// Decides a batch without state. What needs state is absent from the feature row (NaN), and stands at its usual value for
// the model; the decision says "degraded"; and nothing is blocked on half a picture: a block becomes a flag.

import { CardHistory } from '../core/features/card-history.ts'
import { EntityPart } from '../core/features/entity-part.ts'
import { FEATURE_COUNT, FEATURES } from '../core/features/feature-list.ts'
import type { CardLookup, LaneFold, LaneState, ReadablePart } from '../core/features/lane-fold.ts'
import type { LaneProgress } from '../core/stream/lane-progress.ts'
import type { Taken } from './lane-inbox.ts'
import { decideBatch, type DecidedBatch, type DecideOptions } from './micro-batch.ts'

export const DEGRADED_MARK = 'degraded'

/** By feature, whether it needs state. */
const NEEDS_STATE: readonly boolean[] = FEATURES.map(({ entity }) => entity !== 'transaction')

/** As `decideBatch`, with what the transactions themselves say. Moves the fold's position, and keeps nothing. */
export async function decideDegraded(
  { labels, entries, labelNextOffset }: Pick<Taken, 'labels' | 'entries' | 'labelNextOffset'>,
  fold: LaneFold,
  progress: readonly (LaneProgress | null)[],
  decidedAtMs: number,
  options: DecideOptions,
): Promise<DecidedBatch> {
  const decided = await decideBatch(
    labels,
    entries,
    labelNextOffset,
    fold,
    NO_STATE,
    progress,
    decidedAtMs,
    {
      ...options,
      thresholds: { ...options.thresholds, block: Infinity },
      score: (rows, rowCount) => options.score(withoutState(rows, options.usual), rowCount),
    },
  )
  const marked = <Marked extends { readonly marks: readonly string[] }>(one: Marked): Marked => ({
    ...one,
    marks: [...one.marks, DEGRADED_MARK],
  })
  return {
    ...decided,
    decisions: decided.decisions.map(marked),
    alerts: decided.alerts.map(marked),
  }
}

/** Takes out of the rows what needs state. The copy for the model has what is usual in its place. */
function withoutState(rows: Float64Array, usual: readonly number[]): Float64Array {
  const scored = rows.slice()
  for (let at = 0; at < rows.length; at += 1) {
    const feature = at % FEATURE_COUNT
    if (NEEDS_STATE[feature] !== true) continue
    rows[at] = NaN
    scored[at] = usual[feature] ?? NaN
  }
  return scored
}

/** Knows nothing, and remembers nothing. */
const NO_STATE: LaneState & CardLookup = {
  card: () => new CardHistory(),
  peekCard: () => null,
  ownTerminal: () => new EntityPart(),
  otherTerminals: (): readonly ReadablePart[] => [],
}
