// Where live values fall beside those that the model was trained on. Counts and shares are exported by bin, so that
// Prometheus computes the stability of the population over all scorers and any time.

import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import {
  binName,
  type Distribution,
  type TrainingDistribution,
} from '../../core/scoring/training-distribution.ts'
import type { MetricMaker } from './process-metrics.ts'

/** The score stands among the features, as what they come to. */
export const SCORE_POPULATION = 'score'

export interface DriftEvents {
  /** Another model decides. */
  trainingDistributionOpened(model: string, population: TrainingDistribution): void
  /** Rows counted by bin since the last time: one array for each feature, then the score. */
  driftCounted(counts: readonly Float64Array[]): void
}

interface Series {
  readonly feature: string
  readonly bin: string
  readonly model: string
}

const LABELS = {
  feature: `${FEATURE_NAMES.join(', ')}, ${SCORE_POPULATION}`,
  bin: 'place from low to high, or absent',
  model: 'first 12 characters of the digest of the model',
}

/** Makes the metrics of the population. */
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
    trainingDistributionOpened(model, population) {
      for (const one of series.flat()) {
        values.remove(one)
        trained.remove(one)
      }
      series = seriesOf(model, population)
      for (const [index, { shares }] of distributionsOf(population).entries()) {
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

/** Of each feature in order, then of the score. */
export function distributionsOf({
  features,
  score,
}: TrainingDistribution): readonly Distribution[] {
  return [...features, score]
}

function seriesOf(model: string, population: TrainingDistribution): readonly (readonly Series[])[] {
  return distributionsOf(population).map((distribution, index) =>
    distribution.shares.map((_, bin) => ({
      feature: FEATURE_NAMES[index] ?? SCORE_POPULATION,
      bin: binName(bin, distribution),
      model,
    })),
  )
}
