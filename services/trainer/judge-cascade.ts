// Everything that is chosen about a trained cascade, and its figures: calibration, thresholds and the band on validation;
// test has no part in any choice.

import {
  costFigures,
  type AlertCosts,
  type CostFigures,
  type CostedRows,
  type ModelCosts,
} from '../core/scoring/alert-costs.ts'
import { SluiceError } from '../core/errors.ts'
import type { ModelManifest, Thresholds } from '../core/scoring/manifest.ts'
import { chooseThresholds } from './choose-thresholds.ts'
import { cheapestThresholds } from './cost-thresholds.ts'
import { fitBand, type Band } from './fit-band.ts'
import { measureScores, type Scored } from './metrics.ts'
import type { PartMetrics, ScoredPeriod } from './release.ts'
import { cascadePeriod, scoredPart, type Made, type ScoredPart } from './score-periods.ts'

/** By what thresholds are chosen: least cost, or precision within a budget of alerts. */
export const THRESHOLD_RULES = ['cost', 'precision'] as const
export type ThresholdRule = (typeof THRESHOLD_RULES)[number]

export interface ThresholdChoice {
  readonly rule: ThresholdRule
  readonly costs: AlertCosts
}

/** A cascade with all that was chosen and measured. */
export interface Judged {
  readonly made: Made
  readonly draft: ScoredPart
  readonly target: ScoredPart
  readonly thresholds: Thresholds
  readonly band: Band
  readonly validation: ScoredPeriod & Scored
  readonly test: ScoredPeriod & Scored
  readonly metrics: ModelManifest['metrics']
  readonly parts: PartMetrics
  readonly costs: ModelCosts
}

/** @throws SluiceError SLUICE_TRAINING_DATA_INVALID when payments of the test period get no score. */
export function judgeCascade(made: Made, { rule, costs }: ThresholdChoice): Judged {
  const draft = scoredPart(made, made.cascade.draft)
  const target = scoredPart(made, made.cascade.target)
  // Thresholds are of the target's scores, which all alerts have.
  const thresholds =
    rule === 'cost'
      ? cheapestThresholds(costedRows(made, 'validation', target.validation), costs)
      : chooseThresholds(target.validation)
  const band = fitBand(draft.validation.scores, target.validation.scores, thresholds)
  const validation = cascadePeriod(made, 'validation', draft, target, band)
  const test = cascadePeriod(made, 'test', draft, target, band)
  if (!test.scores.every(Number.isFinite)) {
    throw new SluiceError(
      'SLUICE_TRAINING_DATA_INVALID',
      'Some transactions of the test period get no score, so nothing can be said about the model. Try another --seed.',
    )
  }
  const figuresOf = (period: 'validation' | 'test', scored: Scored): CostFigures =>
    inWhole(costFigures(costedRows(made, period, scored), thresholds, costs))
  return {
    ...{ made, draft, target, thresholds, band, validation, test },
    metrics: {
      validation: measureScores(validation, thresholds),
      test: measureScores(test, thresholds),
    },
    parts: {
      draft: measureScores(draft.test, thresholds),
      target: measureScores(target.test, thresholds),
    },
    costs: {
      costs,
      validation: figuresOf('validation', validation),
      test: figuresOf('test', test),
    },
  }
}

function costedRows(
  { dataset, split }: Made,
  period: 'validation' | 'test',
  { scores, truth }: Scored,
): CostedRows {
  const { indices } = split[period]
  const amountsMinor = Float64Array.from(indices, (row) => dataset.amountsMinor[row] ?? 0)
  return { scores, truth, amountsMinor }
}

/** Shares of amounts leave parts of a minor unit, which nobody can pay. */
function inWhole(figures: CostFigures): CostFigures {
  const { fraudMinor, avoidedMinor, alertsMinor, wrongBlocksMinor } = figures
  return {
    fraudMinor: Math.round(fraudMinor),
    avoidedMinor: Math.round(avoidedMinor),
    alertsMinor: Math.round(alertsMinor),
    wrongBlocksMinor: Math.round(wrongBlocksMinor),
  }
}
