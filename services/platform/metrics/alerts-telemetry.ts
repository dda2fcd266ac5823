// Metrics of the services that act on alerts: one function per event. Labels come from closed lists; targets are those of
// the targets file, 64 at most.

import type { Registry } from 'prom-client'
import { type Enforced, NOT_APPLIED } from '../../core/active-blocks.ts'
import { NAMED_FINDINGS, type NamedFinding, PRIORITIES, type Priority } from '../../core/cases.ts'
import {
  BLOCK_RESULTS,
  type BlockResult,
  RECEIPT_FAULTS,
  type ReceiptFault,
} from '../../core/receipt-join.ts'
import { REJECT_REASONS, type RejectReason } from '../../core/dead-letters.ts'
import {
  ALERT_ACTIONS,
  type AlertAction,
  RECEIPT_STATUSES,
  type ReceiptStatus,
} from '../../core/wire/records.ts'
import { PROBLEM_CODES, type ProblemCode } from '../http/json-body.ts'
import { blockBucketsAround, LATENCY_BUCKETS_S } from './buckets.ts'
import { createProcessMetrics, type MetricDefinition, type MetricMaker } from './process-metrics.ts'

export interface AlertsTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** True while the subscriber follows the topic, for readiness. */
  readonly isFollowing: boolean
  /** `visibleAfterMs`: from the time stamp of the transaction's record to the alert's receipt here. */
  alertSeen(action: AlertAction, visibleAfterMs: number): void
  alertNotRead(reason: RejectReason): void
  following(isFollowing: boolean): void
}

/** Metrics of one subscriber. */
export function createAlertsTelemetry(): AlertsTelemetry {
  const make = createProcessMetrics()
  const seen = make.counter('sluice_alerts_seen_total', 'Alerts received, by action.', {
    action: ALERT_ACTIONS,
  })
  const notRead = make.counter(
    'sluice_alerts_not_read_total',
    'Messages of the alerts topic that are not alerts this version can read.',
    { reason: REJECT_REASONS },
  )
  const visible = make.histogram(
    'sluice_event_to_alert_visible_seconds',
    'From the input record until a committed reader has the alert.',
    LATENCY_BUCKETS_S,
  )
  const connected = make.gauge(
    'sluice_alerts_following',
    '1 while the subscriber follows the alerts topic.',
  )
  let isFollowing = false
  return {
    registry: make.registry,
    definitions: make.definitions,
    get isFollowing() {
      return isFollowing
    },
    alertSeen(action, visibleAfterMs) {
      seen.inc({ action })
      // The clocks of two machines may differ by more than the latency; a wait is never negative.
      visible.observe(Math.max(0, visibleAfterMs) / 1_000)
    },
    alertNotRead(reason) {
      notRead.inc({ reason })
    },
    following(isFollowingNow) {
      isFollowing = isFollowingNow
      connected.set(isFollowing ? 1 : 0)
    },
  }
}

export interface CasesTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  findingSaid(finding: NamedFinding, isNew: boolean): void
  answered(problem: ProblemCode | null): void
  stood(standing: CasesStatus): void
}

export interface CasesStatus {
  /** Open cases by priority. */
  readonly cases: ReadonlyMap<Priority, number>
  readonly openAlerts: number
  /** Sum over the open alerts, minor units of the reference currency. */
  readonly expectedLossMinor: number
  readonly isFollowing: boolean
}

const ANSWERS = ['answered', ...PROBLEM_CODES] as const

/** Metrics of one service of queue and labels. */
export function createCasesTelemetry(): CasesTelemetry {
  const make = createProcessMetrics()
  const findings = make.counter(
    'sluice_findings_total',
    'Findings about transactions; repeated ones wrote nothing.',
    { finding: NAMED_FINDINGS, said: ['new', 'repeated'] },
  )
  const requests = make.counter(
    'sluice_cases_requests_total',
    'HTTP requests, by problem; answered without one.',
    { result: ANSWERS },
  )
  const cases = make.gauge('sluice_cases_open', 'Open cases by priority; 1 is the most urgent.', {
    priority: PRIORITIES.map(String),
  })
  const alerts = make.gauge('sluice_cases_open_alerts', 'Alerts in the open cases.')
  const loss = make.gauge(
    'sluice_cases_expected_loss_amount_reference',
    'Score times amount, summed over the open alerts.',
  )
  const following = make.gauge(
    'sluice_cases_following',
    '1 once the queue has caught up and follows the topics.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    findingSaid(finding, isNew) {
      findings.inc({ finding, said: isNew ? 'new' : 'repeated' })
    },
    answered(problem) {
      requests.inc({ result: problem ?? 'answered' })
    },
    stood(standing) {
      for (const priority of PRIORITIES)
        cases.set({ priority: String(priority) }, standing.cases.get(priority) ?? 0)
      alerts.set(standing.openAlerts)
      loss.set(standing.expectedLossMinor / 100)
      following.set(standing.isFollowing ? 1 : 0)
    },
  }
}

export interface EnforcerTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** An alert was applied or refused, and its receipt is in the topic. */
  receiptWritten(enforced: Enforced): void
  alertNotRead(reason: RejectReason): void
  authorised(isRefused: boolean): void
  answered(problem: ProblemCode | null): void
  stood(standing: { readonly activeBlocks: number; readonly isReady: boolean }): void
}

/** Metrics of one enforcer. */
export function createEnforcerTelemetry(): EnforcerTelemetry {
  const make = createProcessMetrics()
  const receipts = make.counter(
    'sluice_enforcer_receipts_total',
    'Receipts written for blocks and releases, by status.',
    { status: RECEIPT_STATUSES.filter((status) => status !== 'unknown') },
  )
  const notApplied = make.counter(
    'sluice_enforcer_not_applied_total',
    'Blocks and releases that were refused or came too late, by reason.',
    { reason: NOT_APPLIED },
  )
  const notRead = make.counter(
    'sluice_enforcer_alerts_not_read_total',
    'Messages that are not alerts this version can read.',
    { reason: REJECT_REASONS },
  )
  const authorisations = make.counter(
    'sluice_enforcer_authorisations_total',
    'Authorisation requests, by answer.',
    { answer: ['allowed', 'refused'] },
  )
  const requests = make.counter(
    'sluice_enforcer_requests_total',
    'HTTP requests, by problem; answered without one.',
    { result: ANSWERS },
  )
  const live = make.gauge('sluice_enforcer_active_blocks', 'Blocks in force now.')
  const ready = make.gauge(
    'sluice_enforcer_ready',
    '1 once the blocks are rebuilt from the log and payments are answered.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    receiptWritten({ status, reason }) {
      receipts.inc({ status })
      if (reason !== null) notApplied.inc({ reason })
    },
    alertNotRead(reason) {
      notRead.inc({ reason })
    },
    authorised(isRefused) {
      authorisations.inc({ answer: isRefused ? 'refused' : 'allowed' })
    },
    answered(problem) {
      requests.inc({ result: problem ?? 'answered' })
    },
    stood({ activeBlocks, isReady }) {
      live.set(activeBlocks)
      ready.set(isReady ? 1 : 0)
    },
  }
}

/** Result of an alert at one target. */
const FORWARD_RESULTS = ['delivered', 'dead', 'filtered'] as const

/** Result of one attempt: the class of its answer, or the failure. */
export const ATTEMPT_RESULTS = ['2xx', '3xx', '4xx', '5xx', 'timeout', 'no_connection'] as const
export type AttemptLabel = (typeof ATTEMPT_RESULTS)[number]

/** Status of one target. */
export interface TargetStatus {
  /** Alerts fetched and not finished. */
  readonly waiting: number
  /** Age of the oldest of them since its decision; 0 when there is none. */
  readonly oldestMs: number
  readonly isCircuitOpen: boolean
  readonly isConsuming: boolean
}

/** Reasons for which an alert is given up at a target. */
export const FORWARD_DEAD_REASONS = [
  'rejected',
  'attempts_exhausted',
  'given_up',
  'too_large',
  'unreadable',
] as const
export type ForwardDeadReason = (typeof FORWARD_DEAD_REASONS)[number]

export interface ForwardTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** Creates the series of a target, so that its rates exist before its first event. */
  targetAdded(target: string): void
  attempted(target: string, result: AttemptLabel, durationMs: number, isRetry: boolean): void
  /** `sinceDecidedMs`: from the decision to the answer that accepted the alert. */
  delivered(target: string, sinceDecidedMs: number): void
  filtered(target: string, count: number): void
  died(target: string, reason: ForwardDeadReason): void
  stood(target: string, standing: TargetStatus): void
}

const TARGET = 'name in the targets file'
/**
 * Seconds from a decision to its delivery. They distinguish a target that was away for a day from one away for an hour.
 */
const DELIVERY_BUCKETS_S = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800, 7_200, 43_200, 86_400,
]

/** Metrics of one forwarder. */
export function createForwardTelemetry(): ForwardTelemetry {
  const make = createProcessMetrics()
  const attempts = attemptEvents(make)
  const results = resultEvents(make)
  const standing = statusEvents(make)
  return {
    registry: make.registry,
    definitions: make.definitions,
    targetAdded(target) {
      attempts.add(target)
      results.add(target)
      standing.stood(target, { waiting: 0, oldestMs: 0, isCircuitOpen: false, isConsuming: false })
    },
    attempted: attempts.attempted,
    delivered: results.delivered,
    filtered: results.filtered,
    died: results.died,
    stood: standing.stood,
  }
}

function attemptEvents(
  make: MetricMaker,
): Pick<ForwardTelemetry, 'attempted'> & { add(target: string): void } {
  const attempts = make.counter(
    'sluice_forward_attempts_total',
    'Requests to targets, by result: class of the answer, time-out, or no connection.',
    { target: TARGET, result: ATTEMPT_RESULTS.join(', ') },
  )
  const retries = make.counter(
    'sluice_forward_retries_total',
    'Requests that were not the first of their alert.',
    { target: TARGET },
  )
  const durations = make.histogram(
    'sluice_forward_attempt_duration_seconds',
    'From sending a request to its answer or failure.',
    LATENCY_BUCKETS_S,
    { target: TARGET },
  )
  return {
    add(target) {
      for (const result of ATTEMPT_RESULTS) attempts.inc({ target, result }, 0)
      retries.inc({ target }, 0)
      durations.zero({ target })
    },
    attempted(target, result, durationMs, isRetry) {
      attempts.inc({ target, result })
      durations.observe({ target }, durationMs / 1_000)
      if (isRetry) retries.inc({ target })
    },
  }
}

function resultEvents(
  make: MetricMaker,
): Pick<ForwardTelemetry, 'delivered' | 'filtered' | 'died'> & { add(target: string): void } {
  const alerts = make.counter(
    'sluice_forward_alerts_total',
    'Finished alerts of a target: delivered, given up as dead letters, or left out by its filter.',
    { target: TARGET, result: FORWARD_RESULTS.join(', ') },
  )
  const letters = make.counter(
    'sluice_forward_dead_letters_total',
    'Alerts that a target did not accept, by reason.',
    { target: TARGET, reason: FORWARD_DEAD_REASONS.join(', ') },
  )
  const delay = make.histogram(
    'sluice_forward_decision_to_delivery_seconds',
    'From the decision to the answer with which the target accepted the alert.',
    DELIVERY_BUCKETS_S,
    { target: TARGET },
  )
  return {
    add(target) {
      for (const result of FORWARD_RESULTS) alerts.inc({ target, result }, 0)
      for (const reason of FORWARD_DEAD_REASONS) letters.inc({ target, reason }, 0)
      delay.zero({ target })
    },
    delivered(target, sinceDecidedMs) {
      alerts.inc({ target, result: 'delivered' })
      delay.observe({ target }, Math.max(0, sinceDecidedMs) / 1_000)
    },
    filtered(target, count) {
      alerts.inc({ target, result: 'filtered' }, count)
    },
    died(target, reason) {
      alerts.inc({ target, result: 'dead' })
      letters.inc({ target, reason })
    },
  }
}

function statusEvents(make: MetricMaker): Pick<ForwardTelemetry, 'stood'> {
  const waiting = make.gauge(
    'sluice_forward_waiting_alerts',
    'Alerts that were fetched for a target and are not done yet; more may wait in the topic.',
    { target: TARGET },
  )
  const oldest = make.gauge(
    'sluice_forward_oldest_undelivered_seconds',
    'Since the oldest alert that waits for a target was decided; 0 when none waits.',
    { target: TARGET },
  )
  const circuit = make.gauge(
    'sluice_forward_circuit_open',
    '1 while the circuit breaker of a target is open, its probes included.',
    { target: TARGET },
  )
  const consuming = make.gauge(
    'sluice_forward_consuming',
    '1 while the consumer group of a target has this forwarder as a member.',
    { target: TARGET },
  )
  return {
    stood(target, standing) {
      waiting.set({ target }, standing.waiting)
      oldest.set({ target }, Math.max(0, standing.oldestMs) / 1_000)
      circuit.set({ target }, standing.isCircuitOpen ? 1 : 0)
      consuming.set({ target }, standing.isConsuming ? 1 : 0)
    },
  }
}

export interface ReceiptsTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  receiptCounted(action: ReceiptAction, status: ReceiptStatus): void
  /** A block was applied: from the record of its transaction, and from its decision. */
  blockApplied(sinceRecordMs: number, sinceDecisionMs: number): void
  receiptRepeated(): void
  receiptRefused(fault: ReceiptFault): void
  /** Receipts, or alerts, that this version cannot read. */
  receiptsUnreadable(count: number): void
  alertsNotRead(count: number): void
  blockJudged(result: BlockResult): void
  blockResent(): void
  blockLapsed(): void
  alertForgotten(): void
  stood(standing: ReceiptsStatus): void
}

export interface ReceiptsStatus {
  readonly waiting: number
  readonly overdue: number
  readonly alerts: number
  readonly isFollowing: boolean
}

const ACTIONS = ['block', 'release', 'flag'] as const
type ReceiptAction = (typeof ACTIONS)[number]

/** Metrics of one watch over the receipts. The objective is an edge of the buckets. */
export function createReceiptsTelemetry(objectiveMs: number): ReceiptsTelemetry {
  const make = createProcessMetrics()
  const receipts = make.counter(
    'sluice_receipts_total',
    'Receipts, each (alert, revision, subscriber) once, by the action of the alert and the status of the receipt.',
    { action: ACTIONS, status: RECEIPT_STATUSES.filter((status) => status !== 'unknown') },
  )
  const faults = make.counter(
    'sluice_receipt_faults_total',
    'Receipts that were not counted and became dead letters, by fault.',
    { fault: RECEIPT_FAULTS },
  )
  const repeated = make.counter(
    'sluice_receipts_repeated_total',
    'Receipts that repeat an earlier one of their subscriber; they do not count.',
  )
  const results = make.counter(
    'sluice_block_results_total',
    'Blocks by their result for the objective: applied in time or late, refused, too late, or without receipt.',
    { result: BLOCK_RESULTS },
  )
  make
    .gauge(
      'sluice_block_objective_seconds',
      'Objective for the time to apply a block, for 99 % of blocks.',
    )
    .set(objectiveMs / 1_000)
  return {
    registry: make.registry,
    definitions: make.definitions,
    ...blockMetrics(make, objectiveMs),
    ...statusMetrics(make),
    receiptCounted(action, status) {
      receipts.inc({ action, status })
    },
    receiptRepeated() {
      repeated.inc()
    },
    receiptRefused(fault) {
      faults.inc({ fault })
    },
    receiptsUnreadable(count) {
      faults.inc({ fault: 'unreadable' }, count)
    },
    blockJudged(result) {
      results.inc({ result })
    },
  }
}

function blockMetrics(
  make: MetricMaker,
  objectiveMs: number,
): Pick<
  ReceiptsTelemetry,
  'blockApplied' | 'alertsNotRead' | 'blockResent' | 'blockLapsed' | 'alertForgotten'
> {
  const sinceRecord = make.histogram(
    'sluice_time_to_block_seconds',
    'From the record of the transaction to the moment at which a subscriber applied its block.',
    blockBucketsAround(objectiveMs),
  )
  const sinceDecision = make.histogram(
    'sluice_decision_to_block_seconds',
    'From the decision to the moment at which a subscriber applied its block.',
    blockBucketsAround(objectiveMs),
  )
  const notRead = make.counter(
    'sluice_receipts_alerts_not_read_total',
    'Messages that are not alerts this version can read; nothing watches their blocks.',
  )
  const resent = make.counter('sluice_blocks_resent_total', 'Blocks and releases that were resent.')
  const lapsed = make.counter(
    'sluice_blocks_lapsed_total',
    'Blocks and releases without receipt that are no longer watched.',
  )
  const forgotten = make.counter(
    'sluice_receipts_alerts_forgotten_total',
    'Alerts that were forgotten early, at the limit of remembered alerts.',
  )
  return {
    blockApplied(sinceRecordMs, sinceDecisionMs) {
      sinceRecord.observe(sinceRecordMs / 1_000)
      sinceDecision.observe(sinceDecisionMs / 1_000)
    },
    alertsNotRead(count) {
      notRead.inc(count)
    },
    blockResent() {
      resent.inc()
    },
    blockLapsed() {
      lapsed.inc()
    },
    alertForgotten() {
      forgotten.inc()
    },
  }
}

function statusMetrics(make: MetricMaker): Pick<ReceiptsTelemetry, 'stood'> {
  const waiting = make.gauge(
    'sluice_blocks_waiting',
    'Blocks and releases that wait for a receipt.',
  )
  const overdue = make.gauge(
    'sluice_blocks_without_receipt',
    'Waiting blocks and releases beyond the time limit.',
  )
  const alerts = make.gauge(
    'sluice_receipts_alerts',
    'Alerts that are remembered for their receipts.',
  )
  const following = make.gauge(
    'sluice_receipts_following',
    '1 once the watch has caught up and follows the topics.',
  )
  return {
    stood(standing) {
      waiting.set(standing.waiting)
      overdue.set(standing.overdue)
      alerts.set(standing.alerts)
      following.set(standing.isFollowing ? 1 : 0)
    },
  }
}
