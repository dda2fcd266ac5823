// Trains the cascade once per seed and chooses the best by average precision on validation. The spread of the figures
// over the seeds shows how much of a difference between two models is chance.

import assert from 'node:assert/strict'
import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from './dataset/dataset.ts'
import { judgeCascade, type Judged, type ThresholdChoice } from './fit/judge-cascade.ts'
import { checkpointStore } from './net/net-checkpoint.ts'
import type { SeedFigures } from './metrics.ts'
import type { RunFolder } from './run-folder.ts'
import type { Split } from './dataset/split.ts'
import { trainCascade, type CascadeShape } from './net/train-cascade.ts'

export interface SeedOptions {
  /** At least one; each is trained. */
  readonly seeds: readonly number[]
  readonly epochsMax: number
  readonly shape: CascadeShape
  readonly thresholds: ThresholdChoice
  /** Storage for progress; null stores nothing. */
  readonly run: RunFolder | null
  readonly onProgress: (line: string) => void
}

/** The chosen cascade and the figures of all seeds. The caller closes `judged.made.cascade`. */
export interface SeedsResult {
  readonly seed: number
  readonly judged: Judged
  readonly bySeed: readonly SeedFigures[]
}

/** Trains the seeds in turn; the first of equals wins. @throws SluiceError SLUICE_TRAINING_DATA_INVALID */
export async function trainSeeds(
  backend: OpenBackend,
  dataset: Dataset,
  split: Split,
  options: SeedOptions,
): Promise<SeedsResult> {
  const bySeed: SeedFigures[] = []
  let best: { readonly seed: number; readonly judged: Judged } | null = null
  try {
    for (const seed of options.seeds) {
      const judged = await trainSeed(backend, dataset, split, seed, options)
      const { validation, test } = judged.metrics
      bySeed.push({ seed, validation, test })
      const known = best?.judged.metrics.validation.averagePrecision ?? -1
      if (validation.averagePrecision > known) {
        best?.judged.made.cascade.close()
        best = { seed, judged }
      } else judged.made.cascade.close()
    }
  } catch (error) {
    best?.judged.made.cascade.close()
    throw error
  }
  assert(best !== null, 'at least one seed is given')
  return { ...best, bySeed }
}

async function trainSeed(
  backend: OpenBackend,
  dataset: Dataset,
  split: Split,
  seed: number,
  { seeds, epochsMax, shape, thresholds, run, onProgress }: SeedOptions,
): Promise<Judged> {
  const name = seeds.length === 1 ? '' : `seed ${seed}, `
  const { train, validation } = split
  const cascade = await trainCascade(backend, dataset, train.indices, validation.indices, {
    seed,
    epochsMax,
    shape,
    onProgress: (line) => {
      onProgress(`${name}${line}`)
    },
    ...(run === null
      ? {}
      : { checkpointsOf: (part) => checkpointStore(run.file(`seed-${seed}-${part}.net`)) }),
  })
  try {
    return judgeCascade({ dataset, split, cascade, backend }, thresholds)
  } catch (error) {
    cascade.close()
    throw error
  }
}
