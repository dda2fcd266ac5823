// Several seeds of one training: figures of each, and how far they lie apart.

import type { ModelMetrics } from '../core/scoring/manifest.ts'

export const SEEDS_MAX = 20

/** Figures of the cascade of one seed, each with thresholds of its own. */
export interface SeedFigures {
  readonly seed: number
  readonly validation: ModelMetrics
  readonly test: ModelMetrics
}

/** Mean and standard deviation; the latter of the values themselves, not of a larger lot. */
export interface Spread {
  readonly mean: number
  readonly deviation: number
}

/** Of no values both are 0. */
export function spreadOf(values: readonly number[]): Spread {
  const count = Math.max(1, values.length)
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / count) }
}

/** What is told of the seeds, by name. */
export const SEED_FIGURES: Readonly<Record<string, (of: ModelMetrics) => number>> = {
  'average precision': (of) => of.averagePrecision,
  'recall at 0.1 % false positives': (of) => of.recallAtFalsePositives01Percent,
  'area under the ROC curve': (of) => of.aucRoc,
  'Brier score': (of) => of.brier,
  'share flagged or blocked': (of) => of.flag.alertShare,
  'precision of flags': (of) => of.flag.precision,
  'recall of flags': (of) => of.flag.recall,
  'precision of blocks': (of) => of.block.precision,
  'recall of blocks': (of) => of.block.recall,
}
