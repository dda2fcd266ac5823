// Decisions of one model and policy, recomputed beside what was recorded.

import { GUARD_ANNOTATIONS } from '../../core/decision/block-guard.ts'
import { isScore } from '../../core/decision/decide.ts'
import { shownAnnotations } from '../../core/decision/shown-annotations.ts'
import type { Ruling } from '../../core/policy/ruling.ts'
import { FEATURE_ANNOTATIONS } from '../../core/features/engine/feature-annotations.ts'
import {
  CASCADE_ANNOTATIONS,
  needsVerification,
  type CascadeAnnotation,
} from '../../core/scoring/cascade.ts'
import type { DecisionRecord, Outcome, Reason } from '../../core/wire/records.ts'
import { explainRows, type Explained } from '../../scorer/index.ts'
import type { Mismatch, ReplayTally } from './compared.ts'
import type { Deciding } from './deciding.ts'
import type { Rule } from './replay-policies.ts'
import type { ReplayedDecision } from './replayed-decision.ts'
import { draftScoresOf, targetScoresOf } from './score-again.ts'

/** Marks of the fold that depend on what could be read then. */
const READ_ANNOTATIONS: readonly string[] = ['degraded', 'expired']
const COMPARED_MARKS: readonly string[] = FEATURE_ANNOTATIONS.filter(
  (mark) => !READ_ANNOTATIONS.includes(mark),
)

type Tell = (kind: Mismatch, recorded: unknown, recomputed: unknown) => void

interface Judged {
  readonly of: ReplayedDecision
  readonly mark: CascadeAnnotation | null
  readonly draftScore: number
  /** What decides; null when the large net's answer cannot be computed again. */
  readonly score: number | null
  readonly tell: Tell
}

/** Compares all of them, and counts. */
export async function judgeDecisions(
  group: readonly ReplayedDecision[],
  deciding: Deciding,
  tally: ReplayTally,
): Promise<void> {
  const { model, tolerance, rule } = deciding
  const rows = group.map(({ scored }) => scored)
  const drafts = await draftScoresOf(rows, model)
  const asked = group.flatMap(({ decision, isSequenceKnown }, position) =>
    isSequenceKnown && cascadeAnnotationOf(decision) === 'verified' ? [position] : [],
  )
  const targets = await targetScoresOf(rows, asked, model)
  const judged = group.map((of, position): Judged => {
    const mark = cascadeAnnotationOf(of.decision)
    const draftScore = drafts[position] ?? NaN
    const score = mark === 'verified' ? (targets.get(position) ?? null) : draftScore
    return { of, mark, draftScore, score, tell: tellerOf(of, tally) }
  })
  for (const each of judged) {
    compareLog(each, tally)
    compareScore(each, deciding, tally)
  }
  if (rule === null) {
    for (let count = 0; count < judged.length; count += 1) tally.leaveOut('policy_gone')
    return
  }
  for (const each of judged) compareOutcome(each, rule, tolerance, tally)
  await compareReasons(judged, rule, deciding, tally)
}

function tellerOf({ block, decision }: ReplayedDecision, tally: ReplayTally): Tell {
  const { partition } = block
  const { offset, revision, transactionId } = decision
  return (kind, recorded, recomputed) => {
    const words = { recorded: String(recorded), recomputed: String(recomputed) }
    tally.differs({ kind, partition, offset, revision, transactionId, ...words })
  }
}

/** What the log says by itself: the transaction, its features, the annotations of the fold. */
function compareLog({ of, tell }: Judged, tally: ReplayTally): void {
  const { decision, transaction, differs, featureAnnotations, isSequenceKnown } = of
  tally.features.compared += of.comparedFeatures
  tally.features.notCompared += of.notComparedFeatures
  const { id, card, eventTimeMs, amountMinor, currency } = transaction
  const was = [
    decision.transactionId,
    decision.card,
    decision.eventTimeMs,
    decision.amountMinor,
    decision.currency,
  ].join(' ')
  const is = [id, card, eventTimeMs, amountMinor, currency].join(' ')
  if (was !== is) tell('transaction', was, is)
  if (differs !== null) tell('features', differs, 'see there')
  if (featureAnnotations === null || decision.annotations.includes('degraded') || !isSequenceKnown)
    return
  const annotations = (all: readonly string[]): string =>
    all.filter((mark) => COMPARED_MARKS.includes(mark)).join(' ') || 'none'
  if (annotations(decision.annotations) !== annotations(featureAnnotations)) {
    tell('annotations', annotations(decision.annotations), annotations(featureAnnotations))
  }
}

function compareScore(
  { of: { decision }, mark, draftScore, score, tell }: Judged,
  { model: { verifier }, tolerance }: Deciding,
  tally: ReplayTally,
): void {
  const isInBand =
    verifier !== null && isScore(draftScore) && needsVerification(draftScore, verifier.verifyFrom)
  if (isInBand !== (mark !== null) && tolerance === 0) {
    const band =
      verifier === null ? 'there is one net' : `the band begins at ${verifier.verifyFrom}`
    tell('cascade', mark ?? 'not verified', `draft ${draftScore}, and ${band}`)
  }
  if (score === null) {
    tally.leaveOut('target_unknown')
    return
  }
  tally.scores.compared += 1
  if (mark === 'verified') tally.scores.ofTarget += 1
  if (!isSameScore(decision.score, score, tolerance)) {
    tell('score', decision.score ?? 'none', isScore(score) ? score : 'none')
  }
}

function compareOutcome(judged: Judged, rule: Rule, tolerance: number, tally: ReplayTally): void {
  const { of, score, tell } = judged
  const { decision } = of
  // Where scores are compared with a tolerance, or cannot be computed, the recorded one is ruled on.
  const ruledOn = score === null || tolerance > 0 ? (decision.score ?? NaN) : score
  tally.outcomes += 1
  const ruling = ruledAs(of, rule, of.scored.row, ruledOn)
  const outcome = guardedOutcome(ruling.outcome, decision.annotations)
  if (outcome !== decision.outcome) tell('outcome', decision.outcome, outcome)
  const [was, is] = [
    namedBy(decision.segment, decision.rules),
    namedBy(ruling.segment, namesOfRules(ruling)),
  ]
  if (was !== is) tell('rules', was, is)
}

async function compareReasons(
  judged: readonly Judged[],
  rule: Rule,
  { model, tolerance }: Deciding,
  tally: ReplayTally,
): Promise<void> {
  const wanted: Judged[] = []
  const explained: Explained[] = []
  for (const each of judged) {
    const { of, mark, score, draftScore, tell } = each
    const { decision, scored } = of
    if (score === null) continue
    const { outcome } = ruledAs(of, rule, scored.row, score)
    if (outcome === 'approve' || !isScore(score)) {
      if (decision.reasons.length > 0) tell('reasons', namesOf(decision.reasons), 'none')
      continue
    }
    if (tolerance > 0) {
      tally.leaveOut('reasons_inexact')
      continue
    }
    const { row, sequence, amountMinor } = scored
    wanted.push(each)
    explained.push({
      ...{ row, score, draftScore, outcome },
      verified: mark === 'verified' ? { score, sequence, amountMinor } : null,
      ask: (other, changed, without) => ruledAs(of, rule, other, changed, without),
    })
  }
  const { verifier, info } = model
  const found = await explainRows(explained, {
    usual: info.usual,
    score: (rows, count) => model.score(rows, count),
    verify: verifier === null ? null : { verifier, timeoutMs: Infinity },
  })
  for (const [index, { of, tell }] of wanted.entries()) {
    tally.reasons += 1
    const reasons = found[index]?.reasons ?? []
    // The words are made from the numbers, and may be said better one day.
    if (numbersOf(of.decision.reasons) !== numbersOf(reasons)) {
      tell('reasons', namesOf(of.decision.reasons), namesOf(reasons))
    }
  }
}

/** What the policy says, of the annotations that it was shown. */
function ruledAs(
  { decision, transaction, scored: { states, amountMinor } }: ReplayedDecision,
  rule: Rule,
  row: Float64Array,
  score: number,
  without?: ReadonlySet<string>,
): Ruling {
  const annotations = shownAnnotations(decision.annotations)
  return rule(
    { transaction, row, states, score, referenceMinor: amountMinor, annotations },
    without,
  )
}

function namedBy(segment: string | null, rules: readonly string[]): string {
  return `${segment ?? 'no segment'}: ${rules.join(', ') || 'none'}`
}

function namesOfRules({ rules }: Ruling): readonly string[] {
  return rules.map(({ name }) => name)
}

/** What breaker, control group and budgets made of it: their standing was a matter of the partition, and is taken as recorded. */
function guardedOutcome(ruled: Outcome, annotations: readonly string[]): Outcome {
  const mark = GUARD_ANNOTATIONS.find((each) => annotations.includes(each))
  switch (mark) {
    case 'breaker_open':
    case 'leases_full':
      return ruled === 'block' ? 'flag' : ruled
    case 'control_group':
    case 'over_capacity':
      return 'approve'
    case undefined:
      return ruled
  }
}

export function cascadeAnnotationOf({ annotations }: DecisionRecord): CascadeAnnotation | null {
  return CASCADE_ANNOTATIONS.find((mark) => annotations.includes(mark)) ?? null
}

function isSameScore(recorded: number | null, score: number, tolerance: number): boolean {
  if (recorded === null || !isScore(score)) return recorded === null && !isScore(score)
  return tolerance === 0 ? Object.is(recorded, score) : Math.abs(recorded - score) <= tolerance
}

function numbersOf(reasons: readonly Reason[]): string {
  return JSON.stringify(
    reasons.map(({ feature, value, usual, scoreAtBaseline }) => [
      feature,
      value,
      usual,
      scoreAtBaseline,
    ]),
  )
}

function namesOf(reasons: readonly Reason[]): string {
  return (
    reasons.map(({ feature, scoreAtBaseline }) => `${feature} ${scoreAtBaseline}`).join(', ') ||
    'none'
  )
}
