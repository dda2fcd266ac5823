// Trains the cascade once for each seed and keeps the best by average precision on validation. How far the figures of
// the seeds lie apart says how much of a difference between two models is chance.

import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from './dataset/dataset.ts'
import { judgeCascade, type Judged, type ThresholdChoice } from './fit/judge-cascade.ts'
import { decodeKeptNet, encodeKeptNet, type NetKeeper } from './net/kept-net.ts'
import type { SeedFigures } from './metrics.ts'
import { damaged, type KeptFile, type RunFolder } from './run-folder.ts'
import type { Split } from './dataset/split.ts'
import { trainCascade, type CascadeShape } from './net/train-cascade.ts'

export interface SeedOptions {
  /** At least one; each is trained. */
  readonly seeds: readonly number[]
  readonly epochsMax: number
  readonly shape: CascadeShape
  readonly thresholds: ThresholdChoice
  /** Where progress is kept; null nowhere. */
  readonly run: RunFolder | null
  readonly onProgress: (line: string) => void
}

/** What is kept, and what all seeds gave. The caller closes `judged.made.cascade`. */
export interface SeedsResult {
  readonly seed: number
  readonly judged: Judged
  readonly bySeed: readonly SeedFigures[]
}

/** The seeds in turn; of equals the first is kept. @throws SluiceError SLUICE_TRAINING_DATA_INVALID */
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
  if (best === null) throw new Error('No seed was given.')
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
    ...{ seed, epochsMax, shape },
    onProgress: (line) => {
      onProgress(`${name}${line}`)
    },
    ...(run === null
      ? {}
      : { keeperOf: (part) => netKeeper(run.file(`seed-${seed}-${part}.net`)) }),
  })
  try {
    return judgeCascade({ dataset, split, cascade, backend }, thresholds)
  } catch (error) {
    cascade.close()
    throw error
  }
}

/** Keeps a net in a file of the run. @throws SluiceError SLUICE_USAGE when the file is damaged. */
export function netKeeper(file: KeptFile): NetKeeper {
  return {
    async read() {
      const bytes = await file.read()
      if (bytes === null) return null
      const kept = decodeKeptNet(bytes)
      if (kept === null) throw damaged(file.path)
      return kept
    },
    write: (kept) => file.write(encodeKeptNet(kept)),
  }
}
