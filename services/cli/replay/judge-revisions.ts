// Whether late transactions led to the revisions that the log calls for: one where the outcome differs, none where not.

import { isScore } from '../../core/decision/decide.ts'
import { needsVerification, type CascadeAnnotation } from '../../core/scoring/cascade.ts'
import { revisedAnnotationsOf } from '../../scorer/index.ts'
import type { ReplayTally } from './compared.ts'
import type { Deciding } from './deciding.ts'
import type { ReplayedRevision, RowToScore } from './replayed-decision.ts'
import { draftScoresOf, targetScoresOf } from './score-again.ts'

export async function judgeRevisions(
  group: readonly ReplayedRevision[],
  { model, rule, tolerance }: Deciding,
  tally: ReplayTally,
): Promise<void> {
  // Outcomes near a threshold would differ by chance.
  if (rule === null || tolerance > 0) return
  const { verifier } = model
  const rows = group.flatMap(({ before, after }) => [before, after])
  const drafts = await draftScoresOf(rows, model)
  const band = [...drafts.keys()].filter((position) => {
    const draft = drafts[position] ?? NaN
    return verifier !== null && isScore(draft) && needsVerification(draft, verifier.verifyFrom)
  })
  const targets = await targetScoresOf(rows, band, model)
  for (const [index, of] of group.entries()) {
    const { block, offset, revision, causeOffset, transaction } = of
    const outcomeAt = ({ row, states, amountMinor }: RowToScore, position: number) => {
      const verified = targets.get(position)
      const mark: CascadeAnnotation | null = verified === undefined ? null : 'verified'
      return rule({
        ...{ transaction, row, states, referenceMinor: amountMinor },
        score: verified ?? drafts[position] ?? NaN,
        annotations: revisedAnnotationsOf({ states, isApproximate: false }, mark),
      }).outcome
    }
    const before = outcomeAt(of.before, 2 * index)
    const after = outcomeAt(of.after, 2 * index + 1)
    const recorded = block.decisions.find(
      (each) =>
        each.offset === offset && each.revision === revision && each.causeOffset === causeOffset,
    )
    if ((before !== after) === (recorded !== undefined)) continue
    const isSure =
      block.alignment === 'aligned' || !(targets.has(2 * index) || targets.has(2 * index + 1))
    if (!isSure) {
      // The large net may not have answered in time, and then what was decided stood.
      tally.leaveOut('target_unknown')
      continue
    }
    tally.differs({
      kind: 'revision',
      ...{ partition: block.partition, offset, revision, transactionId: transaction.id },
      recorded: recorded === undefined ? 'none' : recorded.outcome,
      recomputed: before === after ? 'none' : `${before} to ${after}`,
    })
  }
}
