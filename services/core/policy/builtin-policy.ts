// The policy that decides when nobody has published one: the model's thresholds, one mode, no rules. It is asked for
// every transaction of most streams, so it makes nothing new: each of its answers exists once.

import { isScore, outcomeOf, type Thresholds } from '../decision/decide.ts'
import { STATE } from '../features/engine/feature-states.ts'
import type { CascadeMark } from '../scoring/cascade.ts'
import type { Mode, Outcome } from '../wire/records.ts'
import type { CompiledPolicy, PolicyInput, Ruling } from './ruling.ts'

const UNVERIFIED: CascadeMark = 'draft_stands'

export interface BuiltInOptions {
  readonly mode: Mode
  readonly leaseMs: number
  readonly unscoredOutcome: Outcome
}

type Rulings = Readonly<Record<Outcome, Ruling>>

/** Degraded features, and a draft that the large net should have verified, give no block. */
export function builtInPolicy({ mode, leaseMs, unscoredOutcome }: BuiltInOptions): CompiledPolicy {
  const ruling = (outcome: Outcome, threshold: number | null): Ruling => ({
    outcome,
    mode,
    segment: null,
    rules: [],
    grade: 'suspected',
    leaseMs,
    marks: [],
    failed: [],
    threshold,
  })
  const rulings = (flag: number | null, block: number | null): Rulings => ({
    approve: ruling('approve', null),
    flag: ruling('flag', flag),
    block: ruling('block', block),
  })
  const unscored = rulings(null, null)
  // A model's thresholds are one object for as long as it serves.
  let known: Thresholds | null = null
  let scored = unscored
  return {
    leaseMs,
    rule: ({ score, states, marks, modelThresholds }: PolicyInput): Ruling => {
      if (known !== modelThresholds) {
        known = modelThresholds
        scored = rulings(modelThresholds.flag, modelThresholds.block)
      }
      const isScored = isScore(score)
      const outcome = isScored ? outcomeOf(score, modelThresholds) : unscoredOutcome
      const isDoubtful =
        outcome === 'block' && (states.includes(STATE.degraded) || marks.includes(UNVERIFIED))
      return (isScored ? scored : unscored)[isDoubtful ? 'flag' : outcome]
    },
  }
}
