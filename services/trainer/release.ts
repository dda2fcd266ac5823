// The result of a run from which the model documentation is made, and the terms under which a model may be given away.

import type { ModelManifest, ModelMetrics } from '../core/scoring/manifest.ts'
import type { Dataset, HistoryFacts } from './dataset/dataset.ts'
import type { SeedFigures } from './metrics.ts'

/** Description of the nets and their training; another kind of net changes these texts only. */
export interface TrainingMethod {
  /** Model family, such as "feed-forward network". */
  readonly family: string
  /** Layers, such as "dense 85-32-16-1". */
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
  /** Scores of the cascade, and 1 where a score is the target's. */
  readonly scores: Float64Array
  readonly verified: Uint8Array
}

/** Figures of each net alone, on the test period with the thresholds of the cascade. */
export interface PartMetrics {
  readonly draft: ModelMetrics
  readonly target: ModelMetrics
}

export interface Release {
  readonly manifest: ModelManifest
  /** Files of the model itself by path, including manifest.json. */
  readonly files: Readonly<Record<string, Buffer>>
  /** Warning about the data, in one sentence. */
  readonly caveat: string
  readonly terms: ReleaseTerms
  /** Day of the release, such as 2026-01-31. */
  readonly releasedOn: string
  /** Command that reproduces the model. */
  readonly command: string
  readonly history: HistoryFacts
  readonly parts: PartMetrics
  /** Figures of all trained seeds, including the chosen one. */
  readonly bySeed: readonly SeedFigures[]
  readonly method: TrainingMethod
  readonly validation: ScoredPeriod
  readonly test: ScoredPeriod
}

/** An SPDX identifier, or null when no licence has been stated. */
export type Licence = string | null

export interface ReleaseTerms {
  /** True when rows of the test period are written into the model folder. */
  readonly shipsRows: boolean
  readonly code: Licence
  /** Weights, golden rows and evaluation rows. */
  readonly data: Licence
  readonly documents: Licence
}

/** Terms for models of simulated data, which is ours to give away. */
export const OPEN_TERMS: ReleaseTerms = Object.freeze({
  shipsRows: true,
  code: 'Apache-2.0',
  data: 'CDLA-Permissive-2.0',
  documents: 'CC-BY-4.0',
})

/** Terms for models of recorded data: our code is open, everything else is decided by the owner of the data. */
export const OWNED_TERMS: ReleaseTerms = Object.freeze({
  shipsRows: false,
  code: 'Apache-2.0',
  data: null,
  documents: null,
})

/** Names of the licences that Sluice uses, by SPDX identifier. */
export const LICENCE_NAMES: Readonly<Record<string, string>> = Object.freeze({
  'Apache-2.0': 'Apache License 2.0',
  'CDLA-Permissive-2.0': 'Community Data License Agreement, Permissive, version 2.0',
  'CC-BY-4.0': 'Creative Commons Attribution 4.0 International',
})

/** Documents about the folder; everything else is data. */
const DOCUMENT = /\.(md|yml|svg|png)$|^(bom\.json|SHA256SUMS)$/

/** Licence of one file of a model folder. */
export function licenceOfFile(path: string, terms: ReleaseTerms): Licence {
  // The layout of a net is a program for TensorFlow.js, made by our code to the specification of its owner.
  if (/(^|\/)(model|target)\.json$/.test(path)) return terms.data === null ? null : terms.code
  return DOCUMENT.test(path) ? terms.documents : terms.data
}

/** Path of the file that states a licence; null without one. */
export function licencePath(licence: Licence): string | null {
  return licence === null ? null : `LICENSES/${licence}.md`
}
