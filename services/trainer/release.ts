// What a run hands over when its model folder is written: all that the papers are made from.

import type { ModelManifest, ModelMetrics } from '../core/scoring/manifest.ts'
import type { Dataset } from './dataset.ts'
import type { HistoryFacts } from './history-facts.ts'
import type { ReleaseTerms } from './release-terms.ts'
import type { SeedFigures } from './seeds.ts'

/** How the net was made, in words: what another kind of net changes. */
export interface TrainingMethod {
  /** Family, such as "feed-forward network". */
  readonly family: string
  /** The layers, such as "dense 85-32-16-1". */
  readonly architecture: string
  /** Sentences on training, in order. */
  readonly steps: readonly string[]
  /** Version of @tensorflow/tfjs. */
  readonly libraryVersion: string
}

/** A period with the score of each of its rows. */
export interface ScoredPeriod {
  readonly dataset: Pick<
    Dataset,
    'rows' | 'sequences' | 'amountsMinor' | 'eventTimesMs' | 'truth' | 'cards'
  >
  readonly indices: Uint32Array
  /** What the cascade answers, and 1 where it is the target's answer. */
  readonly scores: Float64Array
  readonly verified: Uint8Array
}

/** Figures of each net of a cascade alone, on the test period and with the thresholds of the whole. */
export interface PartMetrics {
  readonly draft: ModelMetrics
  readonly target: ModelMetrics
}

export interface Release {
  readonly manifest: ModelManifest
  /** Files of the model itself by path, manifest.json among them. */
  readonly files: Readonly<Record<string, Buffer>>
  /** What must be said about the data, in one sentence. */
  readonly caveat: string
  readonly terms: ReleaseTerms
  /** Day of the release, such as 2026-01-31. */
  readonly releasedOn: string
  /** Command that makes the same model again. */
  readonly command: string
  readonly history: HistoryFacts
  readonly parts: PartMetrics
  /** Figures of all seeds that were trained, the kept one among them. */
  readonly bySeed: readonly SeedFigures[]
  readonly method: TrainingMethod
  readonly validation: ScoredPeriod
  readonly test: ScoredPeriod
}
