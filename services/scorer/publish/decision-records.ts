// Builds decisions and alerts as they are published.

import {
  actionOf,
  alertIdOf,
  expectedLossMinorOf,
  isScore,
  priorityOf,
} from '../../core/decision/decide.ts'
import type { GuardAnnotation } from '../../core/decision/block-guard.ts'
import { alertRevisionOf } from '../../core/decision/leases.ts'
import type { Ruling } from '../../core/policy/ruling.ts'
import type { Transaction } from '../../core/transaction.ts'
import type {
  Alert,
  AlertAction,
  AlertLease,
  AlertSource,
  DecisionRecord,
} from '../../core/wire/records.ts'
import type { DecideOptions } from '../decide/decide-options.ts'

const CONTROL_MARK: GuardAnnotation = 'control_group'
const UNNAMED: Pick<DecisionRecord, 'segment' | 'rules'> = { segment: null, rules: [] }

/** The fields shared by first decisions and revisions. */
export function decisionOf(
  transaction: Transaction,
  decided: Omit<
    DecisionRecord,
    'transactionId' | 'card' | 'eventTimeMs' | 'amountMinor' | 'currency' | 'score' | 'notScored'
  > & { readonly score: number },
): DecisionRecord {
  const isDuplicate = decided.duplicateOfOffset !== null
  const isScored = !isDuplicate && isScore(decided.score)
  return {
    offset: decided.offset,
    revision: decided.revision,
    transactionId: transaction.id,
    card: transaction.card,
    eventTimeMs: transaction.eventTimeMs,
    amountMinor: transaction.amountMinor,
    currency: transaction.currency,
    outcome: decided.outcome,
    score: isScored ? decided.score : null,
    notScored: isScored ? null : isDuplicate ? 'duplicate' : 'invalid_score',
    duplicateOfOffset: decided.duplicateOfOffset,
    annotations: decided.annotations,
    reasons: decided.reasons,
    entityAgeMs: decided.entityAgeMs,
    causeOffset: decided.causeOffset,
    segment: decided.segment,
    rules: decided.rules,
  }
}

/** The parts of a ruling that a decision names; a duplicate has none. */
export function namedIn(ruling: Ruling | null): Pick<DecisionRecord, 'segment' | 'rules'> {
  if (ruling === null) return UNNAMED
  const { segment, rules } = ruling
  return segment === null && rules.length === 0
    ? UNNAMED
    : { segment, rules: rules.map(({ name }) => name) }
}

/** The action that the alert of a decision requests; null when its outcome is not published. */
export function alertActionOf(decision: DecisionRecord, ruling: Ruling): AlertAction | null {
  // A control transaction is let through to observe its outcome; analysts see a flag.
  const isControl = decision.annotations.includes(CONTROL_MARK)
  return isControl ? 'flag' : actionOf(decision.outcome, ruling.mode)
}

interface AlertedDecision {
  readonly transaction: Transaction
  readonly decision: DecisionRecord
  readonly ruling: Ruling
  /** The amount in the reference currency. */
  readonly referenceMinor: number
  readonly timestampMs: number
}

/** The alert of a revision; null when neither the outcome before nor the one after is published. */
export function revisedAlertOf(
  revised: AlertedDecision,
  before: Pick<Ruling, 'outcome' | 'mode'>,
  decidedAtMs: number,
  options: DecideOptions,
): Alert | null {
  const { decision, ruling } = revised
  const actionBefore = actionOf(before.outcome, before.mode)
  const after = actionOf(decision.outcome, ruling.mode)
  if (actionBefore === null && after === null) return null
  return {
    ...alertOf(after ?? 'release', revised, decidedAtMs, options),
    revision: alertRevisionOf(decision.revision),
    supersedes: alertRevisionOf(decision.revision - 1),
    cause: 'late_transaction',
  }
}

/** The first alert of a decision. */
export function alertOf(
  action: AlertAction,
  { transaction, decision, ruling, referenceMinor, timestampMs }: AlertedDecision,
  decidedAtMs: number,
  options: DecideOptions,
): Alert {
  const { streamId, topic, partition } = options
  const { offset, score } = decision
  const expectedLossMinor = expectedLossMinorOf(score, referenceMinor)
  const source: AlertSource = { streamId, topic, partition, offset, timestampMs }
  const lease: AlertLease = {
    grade: ruling.grade,
    startMs: decision.eventTimeMs,
    endMs: decision.eventTimeMs + ruling.leaseMs,
  }
  return {
    alertId: alertIdOf(streamId, topic, partition, offset),
    revision: 0,
    supersedes: null,
    action,
    transactionId: decision.transactionId,
    card: decision.card,
    eventTimeMs: decision.eventTimeMs,
    amountMinor: decision.amountMinor,
    currency: decision.currency,
    merchant: transaction.merchant,
    terminal: transaction.terminal,
    country: transaction.country,
    score,
    threshold: ruling.threshold,
    modelVersion: options.modelVersion,
    modelDigest: options.modelDigest,
    policyDigest: options.policyDigest,
    mode: ruling.mode,
    annotations: decision.annotations,
    reasons: decision.reasons,
    lease: action === 'block' ? lease : null,
    source,
    decidedAtMs,
    policyVersion: options.policyVersion,
    segment: decision.segment,
    rules: ruling.rules,
    counterfactual: null,
    expectedLossMinor,
    priority: priorityOf(expectedLossMinor),
    cause: null,
  }
}
