// Builds the manifest of a trained cascade.

import type { RateTable } from '../core/currency.ts'
import { FEATURE_LIST_HASH, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import type { Calibration } from '../core/scoring/scaling.ts'
import {
  MANIFEST_FORMAT,
  type DataPeriod,
  type FileDigest,
  type ModelFile,
  type ModelManifest,
} from '../core/scoring/manifest.ts'
import type { Band } from './fit/fit-band.ts'
import { baselineValues } from './fit/fit-inputs.ts'
import { sha256Of } from './model-folder.ts'
import type { Made } from './fit/judge-cascade.ts'
import type { DatasetPeriod } from './dataset/split.ts'

/** Everything that was chosen on validation rows, and the figures. */
export interface Choices extends Pick<
  ModelManifest,
  'thresholds' | 'metrics' | 'costs' | 'population'
> {
  readonly band: Band
  readonly draftCalibration: Calibration
  readonly targetCalibration: Calibration
  readonly sampleShare: number
}

/** Options of the run that the manifest records. */
export interface ManifestOptions {
  readonly name: string
  readonly source: string
  readonly seed: number
  readonly rates: RateTable
}

export function manifestOf(
  { dataset, split, cascade, backend }: Made,
  options: ManifestOptions,
  files: Readonly<Record<ModelFile, Buffer>>,
  choices: Choices,
): ModelManifest {
  const { thresholds, metrics, costs, population, band } = choices
  const { draftCalibration, targetCalibration, sampleShare } = choices
  const genuine = split.train.indices.filter((row) => dataset.truth[row] === 0)
  const { draft, target, encoding } = cascade
  const weights = sha256Of(Buffer.concat([files['weights.bin'], files['target.bin']]))
  return {
    formatVersion: MANIFEST_FORMAT,
    name: options.name,
    version: `${options.name}-${weights.slice(0, 12)}`,
    features: FEATURE_NAMES,
    featureListHash: FEATURE_LIST_HASH,
    ratesDigest: options.rates.digest,
    scaling: cascade.scaling,
    calibration: draftCalibration,
    thresholds,
    usual: baselineValues(dataset.rows, genuine),
    data: {
      source: options.source,
      digest: dataset.digest,
      transactions: dataset.rowCount,
      labels: dataset.facts.labels,
    },
    periods: {
      train: periodFacts(split.train),
      validation: periodFacts(split.validation),
      test: periodFacts(split.test),
    },
    metrics,
    costs,
    population,
    training: {
      seed: options.seed,
      backend: backend.backend,
      hiddenUnits: draft.shape.hiddenUnits,
      epochs: draft.net.bestEpoch,
    },
    target: {
      members: target.shape.members,
      eventUnits: target.shape.sequence?.eventUnits ?? [],
      hiddenUnits: target.shape.hiddenUnits,
      epochs: target.net.bestEpoch,
      encoding,
      calibration: targetCalibration,
      verifyFrom: band.verifyFrom,
      verifiedShare: band.verifiedShare,
      sampleShare,
      agreement: band.agreement,
    },
    files: Object.fromEntries(
      Object.entries(files).map(([name, bytes]) => [name, digestOf(bytes)]),
    ) as Record<ModelFile, FileDigest>,
  }
}

function periodFacts({ fromMs, endMs, transactions, frauds }: DatasetPeriod): DataPeriod {
  return { fromMs, endMs, transactions, frauds }
}

function digestOf(bytes: Buffer): FileDigest {
  return { sha256: sha256Of(bytes), bytes: bytes.length }
}
