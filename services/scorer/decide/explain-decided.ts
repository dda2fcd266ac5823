// Explains the decisions of a batch that need reasons: flags and blocks with a score, first decisions and revisions
// alike.

import { isScore } from '../../core/decision/decide.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { OUTCOMES, type Counterfactual, type Outcome } from '../../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import { explainRows } from './explain-batch.ts'
import { NO_WHY, type Explained, type Why } from './explained.ts'
import type { FoldedBatch } from '../batch/fold-batch.ts'
import type { Revision } from './revise.ts'
import { rulingIf, type RuledRow } from './rule-batch.ts'
import { unscoredWithoutRules } from './without-rules.ts'
import { revisedPositions, type VerifiedScores } from '../batch/verify-batch.ts'

export interface ExplainedBatch {
  /** By position of the first decision; NO_WHY where no reasons are needed. */
  readonly whyOf: (position: number) => Why
  readonly revisions: readonly Revision[]
}

/** Explains first decisions and revisions together. */
export async function explainDecided(
  { rows, features }: FoldedBatch,
  ruled: readonly RuledRow[],
  revisions: readonly Revision[],
  { scores, verified, draftScores }: VerifiedScores,
  options: DecideOptions,
): Promise<ExplainedBatch> {
  const places = new Map<number, number>()
  const explained: Explained[] = []
  const unscored = new Map<number, Why>()
  for (const [index, { outcome, input }] of ruled.entries()) {
    const score = scores[index] ?? NaN
    if (outcome === 'approve' || input === null) continue
    const each: Explained = {
      row: features.subarray(index * FEATURE_COUNT, (index + 1) * FEATURE_COUNT),
      score,
      draftScore: draftScores[index] ?? NaN,
      verified: verified.answers.get(index) ?? null,
      outcome,
      ask: (row, changed, without) => rulingIf(options.policy, input, row, changed, without),
    }
    if (isScore(score)) {
      places.set(index, explained.length)
      explained.push(each)
    } else {
      unscored.set(index, { reasons: [], counterfactual: unscoredWithoutRules(each) })
    }
  }
  const revisionPlaces = revisions.map(({ decision, computed, input, draftScore, index }) => {
    const { outcome, score } = decision
    if (outcome === 'approve' || score === null) return null
    const position = revisedPositions(rows.length, index).after
    explained.push({
      row: computed.row,
      score,
      draftScore,
      verified: verified.answers.get(position) ?? null,
      outcome,
      ask: (row, changed, without) => rulingIf(options.policy, input, row, changed, without),
    })
    return explained.length - 1
  })
  const found = await explainRows(explained, options)
  return {
    whyOf: (position) => found[places.get(position) ?? -1] ?? unscored.get(position) ?? NO_WHY,
    revisions: revisions.map((revision, index) => {
      const why = found[revisionPlaces[index] ?? -1]
      return why === undefined ? revision : withWhy(revision, why)
    }),
  }
}

/** Null when a breaker or another guard has already made the outcome as mild as the counterfactual. */
export function counterfactualFor(
  outcome: Outcome,
  { counterfactual }: Pick<Why, 'counterfactual'>,
): Counterfactual | null {
  if (counterfactual === null) return null
  const isMilder = OUTCOMES.indexOf(counterfactual.outcomeThen) < OUTCOMES.indexOf(outcome)
  return isMilder ? counterfactual : null
}

function withWhy(revision: Revision, { reasons, counterfactual }: Why): Revision {
  const { decision, alert } = revision
  return {
    ...revision,
    decision: { ...decision, reasons },
    alert: alert === null ? null : { ...alert, reasons, counterfactual },
    counterfactual,
  }
}
