// The result of a run from which the model documentation is made, and the terms under which a model may be given away.

import type { ModelManifest, ModelMetrics } from '../core/scoring/manifest.ts'
import type { Dataset, HistoryFacts } from './dataset/dataset.ts'
import type { SeedFigures } from './metrics.ts'

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

/** An SPDX identifier, or null where nobody has said what is allowed. */
export type Licence = string | null

export interface ReleaseTerms {
  /** Whether rows of the test period are written into the model folder. */
  readonly shipsRows: boolean
  readonly code: Licence
  /** Weights, golden rows and evaluation rows. */
  readonly data: Licence
  readonly documents: Licence
}

/** For models of simulated data. */
export const OPEN_TERMS: ReleaseTerms = Object.freeze({
  shipsRows: true,
  code: 'Apache-2.0',
  data: 'CDLA-Permissive-2.0',
  documents: 'CC-BY-4.0',
})

/** For models of recorded data: our code stays open, all else is for its owner to say. */
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

/** Files for people and about the folder; all else is data. */
const DOCUMENT = /\.(md|yml|svg|png)$|^(bom\.json|SHA256SUMS)$/

/** Licence of one file of a model folder. */
export function licenceOfFile(path: string, terms: ReleaseTerms): Licence {
  // A net's layout is a program for TensorFlow.js, made by our code from what its owner asked for.
  if (/(^|\/)(model|target)\.json$/.test(path)) return terms.data === null ? null : terms.code
  return DOCUMENT.test(path) ? terms.documents : terms.data
}

/** Path of the file that states a licence; null without one. */
export function licencePath(licence: Licence): string | null {
  return licence === null ? null : `LICENSES/${licence}.md`
}
