// Metrics of deployments: models and policies in service, their shadows, blocks, and drift from the training distribution.
// Drift is exported as counts by bin, so that Prometheus computes the population stability index over all scorers.

import { CONTROL_FAULTS, type ControlFault } from '../../core/control/deployment.ts'
import { BREAKER_CAPS, type BreakerCap } from '../../core/decision/breaker.ts'
import { isSluiceError } from '../../core/errors.ts'
import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import type { ScoringModelInfo } from '../../core/scoring/scoring-model.ts'
import {
  binName,
  type Distribution,
  type TrainingDistribution,
} from '../../core/scoring/training-distribution.ts'
import { ALERT_CAUSES, type AlertCause, type Outcome, OUTCOMES } from '../../core/wire/records.ts'
import { SCORE_BUCKETS } from './buckets.ts'
import type { MetricMaker } from './process-metrics.ts'

export const MODEL_ROLES = ['active', 'shadow'] as const
export type ModelRole = (typeof MODEL_ROLES)[number]

/** Reasons for which a requested model does not serve. */
export const MODEL_REFUSALS = [
  'not_found',
  'corrupt',
  'incompatible',
  'unavailable',
  'not_opened',
] as const
export type ModelRefusal = (typeof MODEL_REFUSALS)[number]

const CONTROL_RESULTS = ['followed', 'for_others', ...CONTROL_FAULTS] as const

type ServedInfo = Pick<ScoringModelInfo, 'version' | 'digest' | 'agreementAtLeast'>

export interface ModelEvents {
  /** Null when no model serves in this role. */
  modelServes(role: ModelRole, model: ServedInfo | null): void
  modelSwitched(role: ModelRole): void
  /** Reports that the requested model serves, or the reason why it does not. */
  modelJudged(role: ModelRole, refusal: ModelRefusal | null): void
  controlRead(result: 'followed' | 'for_others' | ControlFault): void
  /** True when the control topic should be followed and is unavailable. */
  controlLost(isLost: boolean): void
}

/** Creates the metrics of models in service. */
export function createModelMetrics(make: MetricMaker): ModelEvents {
  const info = make.gauge(
    'sluice_model_info',
    'Always 1; the labels say which model serves, and in which role.',
    {
      role: MODEL_ROLES.join(', '),
      model_version: 'version in the manifest of the model',
      model_digest: 'first 12 characters of its digest',
    },
  )
  const agreement = make.gauge(
    'sluice_cascade_agreement_at_least',
    'Share of outcomes that equal those of the large net, at least, as stated by the deciding model; 0 for a model of one net.',
  )
  const switches = make.counter(
    'sluice_model_switches_total',
    'Times another model began to serve, since the start of the process.',
    { role: MODEL_ROLES },
  )
  const refused = make.gauge(
    'sluice_model_refused',
    '1 while a model that the control topic asks for is refused and another one serves, by reason.',
    { role: MODEL_ROLES, reason: MODEL_REFUSALS },
  )
  const control = make.counter(
    'sluice_control_messages_total',
    'Messages of the control topic that were read, by result.',
    { result: CONTROL_RESULTS },
  )
  const lost = make.gauge(
    'sluice_control_lost',
    '1 while the control topic should be followed and cannot be read; an aligned replay follows none.',
  )
  const serving = new Map<ModelRole, Record<'role' | 'model_version' | 'model_digest', string>>()
  return {
    modelServes(role, model) {
      const before = serving.get(role)
      if (before !== undefined) info.remove(before)
      serving.delete(role)
      if (role === 'active') agreement.set(model?.agreementAtLeast ?? 0)
      if (model === null) return
      const labels = {
        role,
        model_version: model.version,
        model_digest: model.digest.slice(0, 12),
      }
      serving.set(role, labels)
      info.set(labels, 1)
    },
    modelSwitched(role) {
      switches.inc({ role })
    },
    modelJudged(role, refusal) {
      for (const reason of MODEL_REFUSALS) {
        refused.set({ role, reason }, reason === refusal ? 1 : 0)
      }
    },
    controlRead(result) {
      control.inc({ result })
    },
    controlLost(isLost) {
      lost.set(isLost ? 1 : 0)
    },
  }
}

/** Reasons for which a requested rate table is not in force. */
export const RATES_REFUSALS = ['not_found', 'invalid', 'not_opened'] as const
export type RatesRefusal = (typeof RATES_REFUSALS)[number]

export interface RatesEvents {
  ratesSwitched(): void
  /** Reports that the requested table serves, or the reason why it does not. */
  ratesJudged(refusal: RatesRefusal | null): void
}

/** The metric label for a rate table that was refused. */
export function ratesRefusalOf(error: unknown): RatesRefusal {
  if (isSluiceError(error, 'SLUICE_RATES_NOT_FOUND')) return 'not_found'
  return isSluiceError(error, 'SLUICE_RATES_INVALID') ? 'invalid' : 'not_opened'
}

/** Creates the metrics of rate tables in service. */
export function createRatesMetrics(make: MetricMaker): RatesEvents {
  const switches = make.counter(
    'sluice_rates_switches_total',
    'Times another table of exchange rates began to convert amounts, since the start of the process.',
    {},
  )
  const refused = make.gauge(
    'sluice_rates_refused',
    '1 while a table of exchange rates that the control topic asks for is refused and another one converts, by reason.',
    { reason: RATES_REFUSALS },
  )
  return {
    ratesSwitched() {
      switches.inc({})
    },
    ratesJudged(refusal) {
      for (const reason of RATES_REFUSALS) refused.set({ reason }, reason === refusal ? 1 : 0)
    },
  }
}

/** Reasons for which a requested ruleset is not in force. */
export const POLICY_REFUSALS = ['not_found', 'corrupt', 'unavailable', 'not_opened'] as const
export type PolicyRefusal = (typeof POLICY_REFUSALS)[number]

const SHADOW_RESULTS = ['ruled', 'dropped', 'failed'] as const

/** Conditions are named by users, and there are at most as many as a policy may have. */
const CONDITIONS = 'rules by name, segments as segment/name; at most those of one policy'

/** A policy in service. */
export interface PolicyServed {
  readonly digest: string
  readonly version: number
}

export interface PolicyEvents {
  /** Null when no policy serves in this role. */
  policyServes(role: ModelRole, policy: PolicyServed | null): void
  policySwitched(role: ModelRole): void
  /** Reports that the requested policy serves, or the reason why it does not. */
  policyJudged(role: ModelRole, refusal: PolicyRefusal | null): void
  /** Conditions that failed, by name. */
  policyFailed(failures: ReadonlyMap<string, number>): void
  /** Another policy decides: the failures of the last one end. */
  policyFailuresEnd(): void
  /** Decisions that both policies have ruled on. */
  policyShadowed(pairs: readonly Readonly<Record<ModelRole, Outcome>>[], failed: number): void
  /** Decisions that the shadow left out because its queue was full. */
  policyShadowDropped(decisions: number): void
}

/** The metric label for a ruleset that was refused. */
export function policyRefusalOf(error: unknown): PolicyRefusal {
  if (isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')) return 'not_found'
  if (isSluiceError(error, 'SLUICE_STORE_UNAVAILABLE')) return 'unavailable'
  return isSluiceError(error, 'SLUICE_POLICY_CORRUPT') ? 'corrupt' : 'not_opened'
}

/** Creates the metrics of policies in service. */
export function createPolicyMetrics(make: MetricMaker): PolicyEvents {
  const version = make.gauge(
    'sluice_policy_version',
    'Version of the ruleset in each role; 0 is the built-in policy, or no shadow.',
    { role: MODEL_ROLES },
  )
  const switches = make.counter(
    'sluice_policy_switches_total',
    'Times another ruleset began to serve, since the start of the process.',
    { role: MODEL_ROLES },
  )
  const refused = make.gauge(
    'sluice_policy_refused',
    '1 while a ruleset that the control topic asks for is refused and another one is in force, by reason.',
    { role: MODEL_ROLES, reason: POLICY_REFUSALS },
  )
  const failures = make.counter(
    'sluice_policy_failures_total',
    'Conditions of the policy in force that could not be evaluated; the decision is at least a flag.',
    { condition: CONDITIONS },
  )
  return {
    ...shadowEvents(make),
    policyServes(role, policy) {
      version.set({ role }, policy?.version ?? 0)
    },
    policySwitched(role) {
      switches.inc({ role })
    },
    policyJudged(role, refusal) {
      for (const reason of POLICY_REFUSALS) {
        refused.set({ role, reason }, reason === refusal ? 1 : 0)
      }
    },
    policyFailed(counts) {
      for (const [condition, count] of counts) failures.inc({ condition }, count)
    },
    policyFailuresEnd() {
      failures.reset()
    },
  }
}

function shadowEvents(
  make: MetricMaker,
): Pick<PolicyEvents, 'policyShadowed' | 'policyShadowDropped'> {
  const decisions = make.counter(
    'sluice_policy_shadow_decisions_total',
    'Decisions offered to the shadow policy, by result; failed: a condition could not be evaluated.',
    { result: SHADOW_RESULTS },
  )
  const outcomes = make.counter(
    'sluice_policy_shadow_outcomes_total',
    'Decisions to which both policies were applied, by the outcome of each.',
    { active: OUTCOMES, shadow: OUTCOMES },
  )
  return {
    policyShadowed(pairs, failed) {
      decisions.inc({ result: 'ruled' }, pairs.length)
      decisions.inc({ result: 'failed' }, failed)
      for (const { active, shadow } of pairs) outcomes.inc({ active, shadow })
    },
    policyShadowDropped(count) {
      decisions.inc({ result: 'dropped' }, count)
    },
  }
}

// Leases and breakers of the partitions of one scorer.

/** Changes to the blocks of a partition by one committed batch, or by idle maintenance between batches. */
export interface BlocksReport {
  readonly live: number
  readonly extended: number
  readonly released: ReadonlyMap<AlertCause, number>
  readonly trips: readonly BreakerCap[]
  readonly openBreakers: number
}

export interface BlockEvents {
  /** A partition has read its leases. */
  leasesRead(partition: number, live: number, unreadable: number): void
  blocksCommitted(partition: number, report: BlocksReport): void
  /** The partition belongs to another process now, so its series end. */
  blocksUnknown(partition: number): void
}

/** Creates the metrics of blocks. */
export function createBlockMetrics(make: MetricMaker): BlockEvents {
  const partition = { partition: 'partitions of this process' }
  const live = make.gauge(
    'sluice_leases_live',
    'Cards with an active block, by partition.',
    partition,
  )
  const extended = make.counter(
    'sluice_leases_extended_total',
    'Leases that new evidence has extended or raised in grade.',
  )
  const released = make.counter(
    'sluice_leases_released_total',
    'Leases that have ended, by cause.',
    {
      cause: ALERT_CAUSES,
    },
  )
  const open = make.gauge(
    'sluice_breakers_open',
    'Breakers of the partition that turn blocks into flags until a person resets them.',
    partition,
  )
  const trips = make.counter(
    'sluice_breaker_trips_total',
    'Breakers that have tripped, by the cap that the next block would have exceeded.',
    { cap: BREAKER_CAPS },
  )
  const unreadable = make.counter(
    'sluice_leases_unreadable_total',
    'Records of the lease topic that could not be read at the start of a partition.',
  )
  return {
    leasesRead(partition, count, unreadableCount) {
      live.set({ partition }, count)
      if (unreadableCount > 0) unreadable.inc(unreadableCount)
    },
    blocksCommitted(partition, report) {
      live.set({ partition }, report.live)
      open.set({ partition }, report.openBreakers)
      if (report.extended > 0) extended.inc(report.extended)
      for (const [cause, count] of report.released) released.inc({ cause }, count)
      for (const cap of report.trips) trips.inc({ cap })
    },
    blocksUnknown(partition) {
      live.remove({ partition })
      open.remove({ partition })
    },
  }
}

// Compares the shadow model with the active one on the same rows and labels.

const ROW_RESULTS = ['scored', 'not_scored', 'dropped'] as const
const LABEL_RESULTS = ['compared', 'not_kept'] as const
const LABELLED = { role: MODEL_ROLES, outcome: OUTCOMES, verdict: ['fraud', 'genuine'] } as const

/** A labelled transaction that both models have scored. */
export interface LabelledPair {
  readonly outcomes: Readonly<Record<ModelRole, Outcome>>
  readonly verdict: 'fraud' | 'genuine'
  /** Minor units of the reference currency. */
  readonly amountMinor: number
  /** Number of transactions that it represents, since the sample may hold only a share of them. */
  readonly weight: number
}

export interface ShadowEvents {
  /** Rows that both models scored. */
  shadowScored(
    scores: Readonly<Record<ModelRole, readonly number[]>>,
    pairs: readonly Readonly<Record<ModelRole, Outcome>>[],
  ): void
  shadowNotScored(rows: number): void
  /** Rows that the shadow left out because its queue was full. */
  shadowDropped(rows: number): void
  shadowLabelled(pair: LabelledPair): void
  /** A label whose transaction is not in the sample. */
  shadowLabelNotKept(): void
  /** Share of the transactions that is kept until labels arrive. */
  shadowSampled(share: number): void
}

/** Creates the metrics of the shadow. */
export function createShadowMetrics(make: MetricMaker): ShadowEvents {
  const rows = make.counter(
    'sluice_shadow_rows_total',
    'Rows of committed batches that were offered to the shadow model, by result.',
    { result: ROW_RESULTS },
  )
  const outcomes = make.counter(
    'sluice_shadow_outcomes_total',
    'Rows that both models scored, by the outcome of each.',
    { active: OUTCOMES, shadow: OUTCOMES },
  )
  const histograms = {
    active: make.bulkHistogram(
      'sluice_shadow_active_score',
      'Scores of the deciding model on the rows that the shadow model also scored.',
      SCORE_BUCKETS,
    ),
    shadow: make.bulkHistogram('sluice_shadow_score', 'Scores of the shadow.', SCORE_BUCKETS),
  }
  return {
    ...labelEvents(make),
    shadowScored(scores, pairs) {
      rows.inc({ result: 'scored' }, pairs.length)
      for (const role of MODEL_ROLES) histograms[role].observeAll(scores[role])
      for (const pair of pairs) outcomes.inc({ active: pair.active, shadow: pair.shadow })
    },
    shadowNotScored(count) {
      rows.inc({ result: 'not_scored' }, count)
    },
    shadowDropped(count) {
      rows.inc({ result: 'dropped' }, count)
    },
  }
}

function labelEvents(
  make: MetricMaker,
): Pick<ShadowEvents, 'shadowLabelled' | 'shadowLabelNotKept' | 'shadowSampled'> {
  const labels = make.counter(
    'sluice_shadow_labels_total',
    'Labels that came while a shadow runs; not_kept: decided before it began, or not in the sample.',
    { result: LABEL_RESULTS },
  )
  const labelled = make.counter(
    'sluice_shadow_labelled_total',
    'First labels of transactions that both models scored, by the outcome of each; weighted if a sample is kept.',
    LABELLED,
  )
  const amounts = make.counter(
    'sluice_shadow_labelled_amount_reference_total',
    'The same in the reference currency (its unit, not its minor unit).',
    LABELLED,
  )
  const share = make.gauge(
    'sluice_shadow_sample_share',
    'Share of the transactions that both models approve that is kept until labels come; 0 without a shadow model.',
  )
  return {
    shadowLabelled({ outcomes: pair, verdict, amountMinor, weight }) {
      labels.inc({ result: 'compared' })
      for (const role of MODEL_ROLES) {
        const series = { role, outcome: pair[role], verdict }
        labelled.inc(series, weight)
        amounts.inc(series, (weight * amountMinor) / 100)
      }
    },
    shadowLabelNotKept() {
      labels.inc({ result: 'not_kept' })
    },
    shadowSampled(part) {
      share.set(part)
    },
  }
}

/** Label of the score's distribution, alongside those of the features. */
export const SCORE_DISTRIBUTION = 'score'

export interface DriftEvents {
  /** Another model decides. */
  trainingDistributionOpened(model: string, trainingDistribution: TrainingDistribution): void
  /** Rows counted by bin since the last call: one array for each feature, then one for the score. */
  driftCounted(counts: readonly Float64Array[]): void
}

interface Series {
  readonly feature: string
  readonly bin: string
  readonly model: string
}

const LABELS = {
  feature: `${FEATURE_NAMES.join(', ')}, ${SCORE_DISTRIBUTION}`,
  bin: 'place from low to high, or absent',
  model: 'first 12 characters of the digest of the model',
}

/** Creates the metrics of drift. */
export function createDriftMetrics(make: MetricMaker): DriftEvents {
  const values = make.counter(
    'sluice_feature_values_total',
    'Values of features and scores in a sample of decided rows, by bin of the model in force.',
    LABELS,
  )
  const trained = make.gauge(
    'sluice_feature_training_share',
    'Part of the training rows in each bin.',
    LABELS,
  )
  let series: readonly (readonly Series[])[] = []
  return {
    trainingDistributionOpened(model, trainingDistribution) {
      for (const one of series.flat()) {
        values.remove(one)
        trained.remove(one)
      }
      series = seriesOf(model, trainingDistribution)
      for (const [index, { shares }] of distributionsOf(trainingDistribution).entries()) {
        for (const [bin, share] of shares.entries()) {
          const one = series[index]?.[bin]
          if (one === undefined) continue
          values.inc(one, 0)
          trained.set(one, share)
        }
      }
    },
    driftCounted(counts) {
      for (const [index, ofFeature] of counts.entries()) {
        for (const [bin, count] of ofFeature.entries()) {
          const one = series[index]?.[bin]
          if (one !== undefined && count > 0) values.inc(one, count)
        }
      }
    },
  }
}

/** Distributions of each feature in order, then of the score. */
export function distributionsOf({
  features,
  score,
}: TrainingDistribution): readonly Distribution[] {
  return [...features, score]
}

function seriesOf(
  model: string,
  trainingDistribution: TrainingDistribution,
): readonly (readonly Series[])[] {
  return distributionsOf(trainingDistribution).map((distribution, index) =>
    distribution.shares.map((_, bin) => ({
      feature: FEATURE_NAMES[index] ?? SCORE_DISTRIBUTION,
      bin: binName(bin, distribution),
      model,
    })),
  )
}
