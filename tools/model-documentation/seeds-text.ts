// Figures over the seeds of a training, as the model card shows them.

import { SEED_FIGURES, spreadOf, type SeedFigures } from '../../services/trainer/seeds.ts'
import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import { table } from './page-parts.ts'

/** For the model card: which seed was kept, and the figures over all; nothing of a single one. */
export function seedsText(bySeed: readonly SeedFigures[], kept: number): string | null {
  if (bySeed.length < 2) return null
  const cell = (period: 'validation' | 'test', read: (of: ModelMetrics) => number): string => {
    const { mean, deviation } = spreadOf(bySeed.map((of) => read(of[period])))
    return `${mean.toFixed(4)} +/- ${deviation.toFixed(4)}`
  }
  const rows = Object.entries(SEED_FIGURES).map(([name, read]) => [
    name,
    cell('validation', read),
    cell('test', read),
  ])
  const seeds = bySeed.map(({ seed }) => seed).join(', ')
  return (
    `Trained with ${bySeed.length} seeds (${seeds}); that of seed ${kept} is kept, as it had the highest average ` +
    'precision on validation. Mean and standard deviation over the seeds, each with thresholds of its own:\n\n' +
    table(['figure', 'validation', 'test'], rows)
  )
}
