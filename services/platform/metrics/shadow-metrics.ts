// How a model in the shadow does beside the one that decides: on the same rows, and on the same labels.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { OUTCOMES, type Outcome } from '../../core/wire/records.ts'
import { SCORE_BUCKETS } from './buckets.ts'
import { MODEL_ROLES, type ModelRole } from './model-metrics.ts'
import type { MetricMaker } from './process-metrics.ts'

const ROW_RESULTS = ['scored', 'not_scored', 'dropped'] as const
const LABEL_RESULTS = ['compared', 'not_kept'] as const
const LABELLED = { role: MODEL_ROLES, outcome: OUTCOMES, verdict: ['fraud', 'genuine'] } as const

/** A labelled transaction that both models have judged. */
export interface LabelledPair {
  readonly outcomes: Readonly<Record<ModelRole, Outcome>>
  readonly verdict: 'fraud' | 'genuine'
  /** Minor units of the reference currency. */
  readonly amountMinor: number
  /** Of how many transactions it is one: the sample may keep a part only. */
  readonly weight: number
}

export interface ShadowEvents {
  /** Rows that both models scored. */
  shadowScored(
    scores: Readonly<Record<ModelRole, readonly number[]>>,
    pairs: readonly Readonly<Record<ModelRole, Outcome>>[],
  ): void
  shadowNotScored(rows: number): void
  /** Rows that the shadow left out, since it had too many waiting. */
  shadowDropped(rows: number): void
  shadowLabelled(pair: LabelledPair): void
  /** A label whose transaction is not in the sample. */
  shadowLabelNotKept(): void
  /** Part of the transactions that is kept until labels come. */
  shadowSampled(share: number): void
}

/** Makes the metrics of the shadow. */
export function createShadowMetrics(make: MetricMaker): ShadowEvents {
  const rows = make.counter(
    'sluice_shadow_rows_total',
    'Rows of committed batches that were offered to the model in the shadow, by what came of them.',
    { result: ROW_RESULTS },
  )
  const outcomes = make.counter(
    'sluice_shadow_outcomes_total',
    'Rows that both models judged, by the outcome of each.',
    { active: OUTCOMES, shadow: OUTCOMES },
  )
  const histograms = {
    active: make.bulkHistogram(
      'sluice_shadow_active_score',
      'Scores of the deciding model on the rows that the shadow scored, too.',
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
    'First labels of transactions that both models judged, by the outcome of each; weighted where a sample is kept.',
    LABELLED,
  )
  const amounts = make.counter(
    'sluice_shadow_labelled_amount_reference_total',
    `The same in ${DEFAULT_RATES.reference} (major units).`,
    LABELLED,
  )
  const share = make.gauge(
    'sluice_shadow_sample_share',
    'Part of the transactions that both models approve which is kept until labels come; 0 without a shadow.',
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
