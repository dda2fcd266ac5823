// Metrics of decided batches: one report per batch, so that counting costs per batch and label, not per transaction.

import { GUARD_ANNOTATIONS } from '../../core/decision/block-guard.ts'
import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { FEATURE_ANNOTATIONS } from '../../core/features/engine/feature-annotations.ts'
import { POLICY_ANNOTATIONS } from '../../core/policy/ruling.ts'
import { REJECT_REASONS, type RejectReason } from '../../core/dead-letters.ts'
import { CASCADE_ANNOTATIONS } from '../../core/scoring/cascade.ts'
import { CHANNELS } from '../../core/transaction.ts'
import { NOT_SCORED, type NotScored, type Outcome, OUTCOMES } from '../../core/wire/records.ts'
import {
  BATCH_BUCKETS,
  LABEL_DELAY_BUCKETS_S,
  LATENCY_BUCKETS_S,
  SCORE_BUCKETS,
} from './buckets.ts'
import type { MetricMaker } from './process-metrics.ts'

// Segments of alerts as label values. Countries and categories come from outside, so each is checked for its format,
// and only a limited number get a series of their own.

/** Different values of one segment that get a series; further ones are counted as `other`. */
export const SEGMENT_VALUES_MAX = 64

export const SEGMENTS = ['country', 'channel', 'category'] as const
export type Segment = (typeof SEGMENTS)[number]

/** Segments of an alert; null where the transaction does not name one. */
export type AlertSegments = Readonly<Record<Segment, string | null>>

const SHAPES: Readonly<Record<Segment, RegExp>> = {
  country: /^[A-Z]{2}$/,
  channel: new RegExp(`^(?:${CHANNELS.join('|')})$`),
  category: /^\d{4}$/,
}

/** Turns fields of transactions into label values: `none` for an absent field, `other` beyond the limits. */
export class SegmentValues {
  readonly #seen: Readonly<Record<Segment, Set<string>>> = {
    country: new Set(),
    channel: new Set(),
    category: new Set(),
  }

  valueOf(segment: Segment, value: string | null): string {
    if (value === null) return 'none'
    const seen = this.#seen[segment]
    if (seen.has(value)) return value
    if (seen.size >= SEGMENT_VALUES_MAX || !SHAPES[segment].test(value)) return 'other'
    seen.add(value)
    return value
  }
}

export const STAGES = ['decode', 'read', 'features', 'score', 'write', 'commit', 'total'] as const
export type Stage = (typeof STAGES)[number]

/** Actions that a scorer publishes. */
const ACTIONS = ['flag', 'block'] as const
const INPUT_TOPICS = ['transactions', 'labels'] as const
const DECISION_MARKS = [
  ...FEATURE_ANNOTATIONS,
  'entity_lagging',
  'recomputed',
  ...CASCADE_ANNOTATIONS,
  ...GUARD_ANNOTATIONS,
  ...POLICY_ANNOTATIONS,
] as const

const CASCADE_OUTCOMES = ['same', 'different'] as const

/** A label that was applied, with the outcome decided for its transaction. */
export interface AppliedLabel {
  /** `unknown` when the card does not hold the transaction, or holds it more than once. */
  readonly outcome: Outcome | 'unknown'
  readonly verdict: 'fraud' | 'genuine'
  /** From the event to the time when the label was known; negative where clocks differ. */
  readonly delayMs: number
}

/** An alert, as the metrics count it. */
export interface AlertCounted {
  readonly action: string
  /** Feature of its first reason; null when it was not explained. */
  readonly firstReason: string | null
  readonly segments: AlertSegments
}

/** Report of one decided batch. Durations in ms, by stage. */
export interface BatchReport {
  readonly transactions: number
  readonly duplicates: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** Minor units of the reference currency, duplicates left out. */
  readonly amountsMinor: Readonly<Record<Outcome, number>>
  readonly amountsWithoutRate: number
  /** Scores of the decisions that have one. */
  readonly scores: readonly number[]
  readonly notScored: ReadonlyMap<NotScored, number>
  readonly annotations: ReadonlyMap<string, number>
  /** Payments that both nets of a cascade scored only for comparison: those with the same outcome, and the others. */
  readonly cascadeSample: { readonly same: number; readonly different: number }
  readonly alerts: readonly AlertCounted[]
  readonly labels: readonly AppliedLabel[]
  readonly deadLetters: readonly {
    readonly topic: (typeof INPUT_TOPICS)[number]
    readonly reason: RejectReason
  }[]
  readonly stagesMs: Readonly<Record<Stage, number>>
  /** Per alert: from the input record's time stamp to the commit. */
  readonly eventToAlertMs: readonly number[]
  /** From the oldest input record's time stamp to its score, without waiting for the commit. */
  readonly eventToScoreMs: number | null
}

/** Creates the metrics of decided batches; the function adds a report to them. */
export function createBatchMetrics(make: MetricMaker): (report: BatchReport) => void {
  const adders = [decisionMetrics(make), alertMetrics(make), labelMetrics(make), timeMetrics(make)]
  return (report) => {
    for (const add of adders) add(report)
  }
}

function decisionMetrics(make: MetricMaker): (report: BatchReport) => void {
  const decisions = make.counter('sluice_decisions_total', 'Decisions by outcome.', {
    outcome: OUTCOMES,
  })
  const amounts = make.counter(
    'sluice_decided_amount_reference_total',
    'Amount decided on, duplicates and payments without a rate left out, in the reference currency (its unit, not its minor unit).',
    { outcome: OUTCOMES },
  )
  const withoutRate = make.counter(
    'sluice_amount_without_rate_total',
    'Transactions that the amounts leave out, since their currency has no rate; they are dead letters.',
  )
  const duplicates = make.counter(
    'sluice_duplicates_total',
    'Transactions whose id was seen before.',
  )
  const scores = make.bulkHistogram('sluice_score', 'Scores of decisions.', SCORE_BUCKETS)
  const notScored = make.counter('sluice_not_scored_total', 'Decisions without a score.', {
    reason: NOT_SCORED,
  })
  const annotations = make.counter(
    'sluice_decision_annotations_total',
    'Annotations on decisions; one decision may have several.',
    { mark: DECISION_MARKS },
  )
  const cascade = make.counter(
    'sluice_cascade_sample_total',
    'Payments outside the band that the large net also scored, by whether the outcome is the same.',
    { outcome: CASCADE_OUTCOMES },
  )
  const deadLetters = make.counter(
    'sluice_dead_letters_total',
    'Messages that could not be decided.',
    { topic: INPUT_TOPICS, reason: REJECT_REASONS },
  )
  return (report) => {
    for (const outcome of OUTCOMES) {
      decisions.inc({ outcome }, report.outcomes[outcome])
      amounts.inc({ outcome }, report.amountsMinor[outcome] / 100)
    }
    withoutRate.inc(report.amountsWithoutRate)
    duplicates.inc(report.duplicates)
    scores.observeAll(report.scores)
    for (const [reason, count] of report.notScored) notScored.inc({ reason }, count)
    for (const outcome of CASCADE_OUTCOMES) cascade.inc({ outcome }, report.cascadeSample[outcome])
    for (const [mark, count] of report.annotations) annotations.inc({ mark }, count)
    for (const { topic, reason } of report.deadLetters) deadLetters.inc({ topic, reason })
  }
}

function alertMetrics(make: MetricMaker): (report: BatchReport) => void {
  const alerts = make.counter('sluice_alerts_total', 'Alerts published, by action.', {
    action: ACTIONS,
  })
  const reasons = make.counter(
    'sluice_alert_reasons_total',
    'Alerts published, by the feature of their first reason; none: not explained.',
    { feature: [...FEATURE_NAMES, 'none'] },
  )
  const segments = make.counter(
    'sluice_alert_segments_total',
    'Alerts published, by country (ISO 3166), channel and merchant category (ISO 18245).',
    {
      segment: SEGMENTS,
      value: `channel: ${CHANNELS.join(', ')}; others: the first ${SEGMENT_VALUES_MAX}; none, other`,
    },
  )
  for (const value of [...CHANNELS, 'none']) segments.inc({ segment: 'channel', value }, 0)
  const values = new SegmentValues()
  return (report) => {
    for (const alert of report.alerts) {
      alerts.inc({ action: alert.action })
      reasons.inc({ feature: alert.firstReason ?? 'none' })
      for (const segment of SEGMENTS) {
        segments.inc({ segment, value: values.valueOf(segment, alert.segments[segment]) })
      }
    }
  }
}

function labelMetrics(make: MetricMaker): (report: BatchReport) => void {
  const labels = make.counter('sluice_labels_applied_total', 'Labels applied to the state.')
  const met = make.counter(
    'sluice_labelled_decisions_total',
    'Labels applied, by the earlier decision; unknown: the card does not hold the transaction.',
    { outcome: [...OUTCOMES, 'unknown'], verdict: ['fraud', 'genuine'] },
  )
  const delay = make.histogram(
    'sluice_label_delay_seconds',
    'From the event to the known-at time of its label.',
    LABEL_DELAY_BUCKETS_S,
  )
  return (report) => {
    labels.inc(report.labels.length)
    for (const { outcome, verdict, delayMs } of report.labels) {
      met.inc({ outcome, verdict })
      delay.observe(Math.max(0, delayMs) / 1_000)
    }
  }
}

function timeMetrics(make: MetricMaker): (report: BatchReport) => void {
  const stages = make.histogram(
    'sluice_stage_duration_seconds',
    'Time of one micro-batch by stage.',
    LATENCY_BUCKETS_S,
    { stage: STAGES },
  )
  const eventToAlert = make.histogram(
    'sluice_event_to_alert_seconds',
    'From the input record to the committed alert.',
    LATENCY_BUCKETS_S,
  )
  const eventToScore = make.histogram(
    'sluice_event_to_score_seconds',
    'From the oldest input record of a batch to its score.',
    LATENCY_BUCKETS_S,
  )
  const batchSize = make.histogram(
    'sluice_batch_transactions',
    'Transactions of one micro-batch.',
    BATCH_BUCKETS,
  )
  return (report) => {
    if (report.transactions > 0) batchSize.observe(report.transactions)
    for (const stage of STAGES) stages.observe({ stage }, report.stagesMs[stage] / 1_000)
    for (const latencyMs of report.eventToAlertMs) eventToAlert.observe(latencyMs / 1_000)
    if (report.eventToScoreMs !== null) eventToScore.observe(report.eventToScoreMs / 1_000)
  }
}
