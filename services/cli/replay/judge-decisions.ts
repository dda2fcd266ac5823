// Decisions of one model and policy, recomputed and compared with the record.

import assert from 'node:assert/strict'
import { GUARD_ANNOTATIONS } from '../../core/decision/block-guard.ts'
import { isScore } from '../../core/decision/decide.ts'
import { shownAnnotations } from '../../core/decision/shown-annotations.ts'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_ANNOTATIONS } from '../../core/features/engine/feature-annotations.ts'
import type { Ruling } from '../../core/policy/ruling.ts'
import {
  CASCADE_ANNOTATIONS,
  type CascadeAnnotation,
  needsVerification,
} from '../../core/scoring/cascade.ts'
import type { Alert, DecisionRecord, Outcome, Reason } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { type Explained, explainRows, revisedAnnotationsOf } from '../../scorer/index.ts'
import type { DecidedStream } from '../features/export-rows.ts'
import {
  type Deciding,
  type ReplayedDecision,
  type ReplayedRevision,
  type RowToScore,
  draftScoresOf,
  targetScoresOf,
} from './replayed-decision.ts'
import type { Rule } from './recorded-deciders.ts'

/** Feature annotations that depend on what could be read at the time. */
const READ_ANNOTATIONS: readonly string[] = ['degraded', 'expired']
const COMPARED_MARKS: readonly string[] = FEATURE_ANNOTATIONS.filter(
  (mark) => !READ_ANNOTATIONS.includes(mark),
)

type Tell = (kind: Mismatch, recorded: unknown, recomputed: unknown) => void

interface Judged {
  readonly of: ReplayedDecision
  readonly mark: CascadeAnnotation | null
  readonly draftScore: number
  /** The score that decides; null when the large net's answer cannot be recomputed. */
  readonly score: number | null
  readonly tell: Tell
}

/** Compares all decisions, and counts. */
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
    const draftScore = drafts[position]
    assert(draftScore !== undefined, 'A model answers for every row, be it NaN.')
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

/** Compares what follows from the log alone: the transaction, its features, and their annotations. */
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
  // The large net does not score a payment whose amount is unknown.
  const isInBand =
    verifier !== null &&
    !decision.annotations.includes('no_rate') &&
    isScore(draftScore) &&
    needsVerification(draftScore, verifier.verifyFrom)
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
  // When scores are compared with a tolerance, or cannot be computed, the policy rules on the recorded score.
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
    baseline: info.baseline,
    score: (rows, count) => model.score(rows, count),
    verify: verifier === null ? null : { verifier, timeoutMs: Infinity },
  })
  for (const [index, { of, tell }] of wanted.entries()) {
    tally.reasons += 1
    const reasons = found[index]?.reasons ?? []
    // Compares numbers only: the texts are generated from them, and their wording may change.
    if (numbersOf(of.decision.reasons) !== numbersOf(reasons)) {
      tell('reasons', namesOf(of.decision.reasons), namesOf(reasons))
    }
  }
}

/** The policy's ruling on the recorded annotations. */
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

/**
 * The outcome after breaker, control group and budgets. Their status belonged to the partition, and is taken from the
 * record.
 */
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

function cascadeAnnotationOf({ annotations }: DecisionRecord): CascadeAnnotation | null {
  return CASCADE_ANNOTATIONS.find((mark) => annotations.includes(mark)) ?? null
}

function isSameScore(recorded: number | null, score: number, tolerance: number): boolean {
  if (recorded === null || !isScore(score)) return recorded === null && !isScore(score)
  return tolerance === 0 ? Object.is(recorded, score) : Math.abs(recorded - score) <= tolerance
}

function numbersOf(reasons: readonly Reason[]): string {
  return JSON.stringify(
    reasons.map(({ feature, value, baseline, scoreAtBaseline }) => [
      feature,
      value,
      baseline,
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

// Checks that late transactions led to the revisions that the log implies: one when the outcome differs, none
// otherwise.

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
  const band = [...drafts.entries()].flatMap(([position, draft]) =>
    verifier !== null &&
    isScore(draft) &&
    !Number.isNaN(rows[position]?.amountMinor) &&
    needsVerification(draft, verifier.verifyFrom)
      ? [position]
      : [],
  )
  const targets = await targetScoresOf(rows, band, model)
  for (const [index, of] of group.entries()) {
    const { block, offset, revision, causeOffset, transaction } = of
    const outcomeAt = ({ row, states, amountMinor }: RowToScore, position: number) => {
      const verified = targets.get(position)
      const mark: CascadeAnnotation | null = verified === undefined ? null : 'verified'
      const score = verified ?? drafts[position]
      assert(score !== undefined, 'A model answers for every row, be it NaN.')
      return rule({
        ...{ transaction, row, states, referenceMinor: amountMinor },
        score,
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
      // The large net may have missed its deadline, in which case the earlier decision stood.
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

// Counts of a replay: decisions by difference, and the uncompared ones by reason.

/** Parts of a decision that can differ. Closed list. */
export const MISMATCHES = [
  'transaction',
  'features',
  'annotations',
  'score',
  'cascade',
  'rules',
  'outcome',
  'rules',
  'reasons',
  'revision',
  'repeat',
] as const
type Mismatch = (typeof MISMATCHES)[number]

/** Reasons for which part of a decision was not compared. Closed list. */
export const LEFT_OUT = [
  'message_gone',
  'other_feature_list',
  'behind_reach',
  'outside_sample',
  'model_gone',
  'policy_gone',
  'target_unknown',
  'reasons_inexact',
  'first_decision_unknown',
] as const
export type LeftOut = (typeof LEFT_OUT)[number]

/** Most mismatches that are listed. */
const SHOWN_MAX = 20

interface ShownMismatch {
  readonly kind: Mismatch
  readonly partition: number
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly recorded: string
  readonly recomputed: string
}

export interface ReplaySummary {
  /** Decisions in the range, revisions and repeats included. */
  readonly decisions: number
  readonly revisions: number
  readonly repeats: number
  /** Decisions with at least one difference. */
  readonly mismatched: number
  readonly features: { readonly compared: number; readonly notCompared: number }
  readonly scores: { readonly compared: number; readonly ofTarget: number }
  readonly outcomes: number
  readonly reasons: number
  readonly mismatches: Readonly<Record<Mismatch, number>>
  readonly leftOut: Readonly<Record<LeftOut, number>>
  /** Largest accepted difference of a score; 0 demands equal bits. */
  readonly tolerance: number
  readonly first: readonly ShownMismatch[]
}

export class ReplayTally {
  decisions = 0
  revisions = 0
  repeats = 0
  features = { compared: 0, notCompared: 0 }
  scores = { compared: 0, ofTarget: 0 }
  outcomes = 0
  reasons = 0
  tolerance = 0
  readonly #mismatches = new Map<Mismatch, number>()
  readonly #leftOut = new Map<LeftOut, number>()
  readonly #first: ShownMismatch[] = []
  #mismatched = 0
  #lastPlace = ''

  differs(shown: ShownMismatch): void {
    const { kind, partition, offset, revision } = shown
    this.#mismatches.set(kind, (this.#mismatches.get(kind) ?? 0) + 1)
    const place = `${partition}/${offset}/${revision}`
    if (place !== this.#lastPlace) this.#mismatched += 1
    this.#lastPlace = place
    if (this.#first.length < SHOWN_MAX) this.#first.push(shown)
  }

  leaveOut(reason: LeftOut): void {
    this.#leftOut.set(reason, (this.#leftOut.get(reason) ?? 0) + 1)
  }

  summary(): ReplaySummary {
    const { decisions, revisions, repeats, features, scores, outcomes, reasons, tolerance } = this
    const counted = { decisions, revisions, repeats, features, scores, outcomes, reasons }
    const each = <Name extends string>(names: readonly Name[], counts: ReadonlyMap<Name, number>) =>
      Object.fromEntries(names.map((name) => [name, counts.get(name) ?? 0])) as Record<Name, number>
    return {
      ...counted,
      tolerance,
      mismatched: this.#mismatched,
      mismatches: each(MISMATCHES, this.#mismatches),
      leftOut: each(LEFT_OUT, this.#leftOut),
      first: this.#first,
    }
  }
}

/** True when a replay proves its range: nothing differs, and something was compared. */
export function isProven({ decisions, mismatched, leftOut }: ReplaySummary): boolean {
  return decisions > 0 && mismatched === 0 && leftOut.model_gone === 0 && leftOut.policy_gone === 0
}

// Finds an alert and all its revisions by id.

/** Most revisions of one alert in memory. */
const REVISIONS_MAX = 10_000

/**
 * Revisions in order; never empty. @throws SluiceError SLUICE_USAGE when there is no such alert, and errors of topic
 * readers.
 */
export async function findAlert(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  alertId: string,
  signal: AbortSignal,
): Promise<readonly [Alert, ...Alert[]]> {
  const topic = topicName(topicPrefix, 'alerts')
  const bytes = Buffer.from(alertId)
  const found: Alert[] = []
  await readToEnd(
    { brokers, security, name: 'sluice-explain', topics: [topic], startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        if (value?.includes(bytes) !== true) continue
        const decoded = codecs.alert.decode(value)
        if (!decoded.ok || decoded.value.alertId !== alertId) continue
        if (found.length < REVISIONS_MAX) found.push(decoded.value)
      }
    },
    signal,
  )
  const [first, ...others] = found.toSorted((a, b) => a.revision - b.revision)
  if (first !== undefined) return [first, ...others]
  throw new SluiceError(
    'SLUICE_USAGE',
    `${topic} holds no alert ${alertId}; check the id and the topic prefix. It may also be older than the topic.`,
  )
}
