// manifest.json of a model folder: every condition that must hold before a score means anything. It holds the digests
// of the other files, so the digest of its own bytes identifies the whole model.

import { SluiceError } from '../errors.ts'
import { DEFAULT_RATES } from '../rates/default-rates.ts'
import { readModelCosts, type ModelCosts } from './alert-costs.ts'
import type { Calibration, FeatureScaling, CodeRamps } from './scaling.ts'
import { FieldReader, corrupt, readNumber, readString } from './field-reader.ts'
import { readTrainingDistribution, type TrainingDistribution } from './training-distribution.ts'
import type { Agreement } from './cascade.ts'
import type { SequenceEncoding } from './sequence-encoding.ts'

export const MANIFEST_FORMAT = 1

/** Files of a model folder whose digests the manifest holds. */
export const MODEL_FILES = ['model.json', 'weights.bin', 'golden.json'] as const
/** Additional files of a folder that holds a target. */
export const TARGET_FILES = ['target.json', 'target.bin', 'target-golden.json'] as const
export type ModelFile = (typeof MODEL_FILES)[number] | (typeof TARGET_FILES)[number]

const FEATURES_MAX = 512
/** Largest file of a model. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024
const TEXT_MAX = 1_000

/** Digest and size of one file. */
export interface FileDigest {
  readonly sha256: string
  readonly bytes: number
}

/** Scores at or above `flag` are flagged, at or above `block` blocked. */
export interface Thresholds {
  readonly flag: number
  readonly block: number
  /** The rule by which they were chosen, in words. */
  readonly rule: string
}

/** A span of event time [fromMs, endMs) with its counts. */
export interface DataPeriod {
  readonly fromMs: number
  readonly endMs: number
  readonly transactions: number
  readonly frauds: number
}

/** Quality of the scores in one period. */
export interface ModelMetrics {
  readonly averagePrecision: number
  readonly aucRoc: number
  /** Share of frauds found when one genuine transaction in 1,000 is alerted. */
  readonly recallAtFalsePositives01Percent: number
  /** Mean squared difference of score and truth. */
  readonly brier: number
  readonly flag: ThresholdMetrics
  readonly block: ThresholdMetrics
}

/** Effect of a threshold on one period. */
export interface ThresholdMetrics {
  readonly alerts: number
  /** Share of all transactions. */
  readonly alertShare: number
  /** Share of alerts that are frauds; 0 without alerts. */
  readonly precision: number
  readonly recall: number
}

export interface ModelManifest {
  readonly formatVersion: typeof MANIFEST_FORMAT
  readonly name: string
  readonly version: string
  /** Names of the features, in order. */
  readonly features: readonly string[]
  readonly featureListHash: string
  /** The currency that amounts were converted to, and the rate table that converted them. */
  readonly referenceCurrency: string
  readonly ratesDigest: string
  readonly scaling: readonly FeatureScaling[]
  readonly calibration: Calibration
  readonly thresholds: Thresholds
  /** Baseline of each feature: median over genuine transactions of the training period. */
  readonly baseline: readonly number[]
  /** Distributions of the training rows. */
  readonly trainingDistribution: TrainingDistribution
  readonly data: {
    /** Origin of the history, in words. */
    readonly source: string
    /** SHA-256 over all feature rows and truths, in order. */
    readonly digest: string
    readonly transactions: number
    readonly labels: number
  }
  readonly periods: {
    readonly train: DataPeriod
    readonly validation: DataPeriod
    readonly test: DataPeriod
  }
  readonly metrics: { readonly validation: ModelMetrics; readonly test: ModelMetrics }
  /** Costs and savings of the thresholds. */
  readonly costs: ModelCosts
  readonly training: {
    readonly seed: number
    readonly backend: string
    readonly hiddenUnits: readonly number[]
    readonly epochs: number
  }
  /** Null for a model of one net. */
  readonly target: TargetManifest | null
  readonly files: Readonly<Record<(typeof MODEL_FILES)[number], FileDigest>> &
    Readonly<Partial<Record<(typeof TARGET_FILES)[number], FileDigest>>>
}

/**
 * Checks a parsed manifest: every field is present, has its type and is within bounds, no field is unknown, and all
 * lists are as long as the feature list. The caller checks whether the feature list is ours.
 * @throws SluiceError SLUICE_MODEL_CORRUPT naming the field, its value and the expectation; SLUICE_MODEL_INCOMPATIBLE
 * for another format.
 */
export function checkManifest(value: unknown): ModelManifest {
  const fields = new FieldReader(value, 'manifest.json')
  const formatVersion = fields.integer('formatVersion')
  if (formatVersion !== MANIFEST_FORMAT) {
    throw new SluiceError(
      'SLUICE_MODEL_INCOMPATIBLE',
      `manifest.json has format ${formatVersion}, and this build reads format ${MANIFEST_FORMAT}. Use the build that ` +
        'the model was made with, or train again with "sluice train".',
    )
  }
  const manifest: ModelManifest = {
    formatVersion,
    name: fields.string('name', 64),
    version: fields.string('version', 64),
    features: fields.array('features', FEATURES_MAX, readString),
    featureListHash: fields.digest('featureListHash'),
    // A manifest that names none is of a model trained in the reference currency of the rates that ship.
    referenceCurrency: fields.has('referenceCurrency')
      ? fields.string('referenceCurrency', 3)
      : DEFAULT_RATES.reference,
    ratesDigest: fields.digest('ratesDigest'),
    scaling: fields.objects('scaling', FEATURES_MAX, readScaling),
    calibration: fields.object('calibration', readCalibration),
    thresholds: fields.object('thresholds', readThresholds),
    baseline: fields.array('baseline', FEATURES_MAX, readNumber),
    trainingDistribution: fields.object('trainingDistribution', (trainingDistribution) =>
      readTrainingDistribution(trainingDistribution, FEATURES_MAX),
    ),
    data: fields.object('data', (data) => ({
      source: data.string('source', TEXT_MAX),
      digest: data.digest('digest'),
      transactions: data.integer('transactions'),
      labels: data.integer('labels'),
    })),
    periods: fields.object('periods', (periods) => ({
      train: periods.object('train', readPeriod),
      validation: periods.object('validation', readPeriod),
      test: periods.object('test', readPeriod),
    })),
    metrics: fields.object('metrics', (metrics) => ({
      validation: metrics.object('validation', readMetrics),
      test: metrics.object('test', readMetrics),
    })),
    costs: fields.object('costs', readModelCosts),
    training: fields.object('training', (training) => ({
      seed: training.integer('seed'),
      backend: training.string('backend'),
      hiddenUnits: training.array('hiddenUnits', 16, readNumber),
      epochs: training.integer('epochs'),
    })),
    target: fields.objectOrNull('target', readTarget),
    files: fields.object('files', (files) => ({
      'model.json': files.object('model.json', readFileDigest),
      'weights.bin': files.object('weights.bin', readFileDigest),
      'golden.json': files.object('golden.json', readFileDigest),
      ...(TARGET_FILES.some((file) => files.has(file))
        ? {
            'target.json': files.object('target.json', readFileDigest),
            'target.bin': files.object('target.bin', readFileDigest),
            'target-golden.json': files.object('target-golden.json', readFileDigest),
          }
        : {}),
    })),
  }
  fields.end()
  checkRelations(manifest)
  return manifest
}

function checkRelations(manifest: ModelManifest): void {
  const { features, scaling, baseline, thresholds, trainingDistribution, target, files } = manifest
  if ((target === null) !== (files['target.json'] === undefined)) {
    throw corrupt(
      'manifest.json has target and files.target.json, target.bin and target-golden.json only together',
    )
  }
  if (features.length === 0) throw corrupt('manifest.json.features is empty')
  if (scaling.length !== features.length || baseline.length !== features.length) {
    throw corrupt(
      `manifest.json has ${features.length} features, but ${scaling.length} scalings and ` +
        `${baseline.length} baselines`,
    )
  }
  if (trainingDistribution.features.length !== features.length) {
    throw corrupt(
      `manifest.json.trainingDistribution has ${trainingDistribution.features.length} features, but there are ${features.length}`,
    )
  }
  const strayed = features.findIndex((name, index) => scaling[index]?.feature !== name)
  if (strayed >= 0) {
    throw corrupt(
      `manifest.json.scaling[${strayed}] is for "${scaling[strayed]?.feature ?? ''}", but feature ` +
        `${strayed} is "${features[strayed] ?? ''}"`,
    )
  }
  for (const { feature, byCode } of scaling) {
    if (byCode === null || features.includes(byCode.feature)) continue
    throw corrupt(
      `manifest.json.scaling of "${feature}" depends on "${byCode.feature}", which is not one of its features`,
    )
  }
  if (thresholds.block <= thresholds.flag) {
    throw corrupt(
      `manifest.json.thresholds.block is ${thresholds.block}, but must be above flag ` +
        `(${thresholds.flag})`,
    )
  }
}

function readScaling(fields: FieldReader): FeatureScaling {
  const feature = fields.string('feature')
  const scaling: FeatureScaling = {
    feature,
    transform: fields.oneOf('transform', ['none', 'log1p']),
    center: fields.number('center'),
    scale: fields.number('scale', Number.MIN_VALUE),
    clip: fields.number('clip', Number.MIN_VALUE, 1e6),
    absentValue: fields.numberOrNull('absentValue'),
    absentInput: fields.boolean('absentInput'),
    steps: readEdges(fields, 'steps', feature),
    ramps: readEdges(fields, 'ramps', feature),
    byCode: fields.objectOrNull('byCode', (byCode) => ({
      feature: byCode.string('feature'),
      ...readCodeRamps(byCode, feature),
    })),
  }
  if (scaling.absentInput && scaling.absentValue === null) {
    throw corrupt(`manifest.json: "${scaling.feature}" has an absent input but no absent value`)
  }
  return scaling
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readThresholds(fields: FieldReader): Thresholds {
  return {
    flag: fields.number('flag', Number.MIN_VALUE, 1),
    block: fields.number('block', Number.MIN_VALUE, 1),
    rule: fields.string('rule', TEXT_MAX),
  }
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readPeriod(fields: FieldReader): DataPeriod {
  return {
    fromMs: fields.integer('fromMs'),
    endMs: fields.integer('endMs'),
    transactions: fields.integer('transactions'),
    frauds: fields.integer('frauds'),
  }
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readMetrics(fields: FieldReader): ModelMetrics {
  return {
    averagePrecision: fields.number('averagePrecision', 0, 1),
    aucRoc: fields.number('aucRoc', 0, 1),
    recallAtFalsePositives01Percent: fields.number('recallAtFalsePositives01Percent', 0, 1),
    brier: fields.number('brier', 0, 1),
    flag: fields.object('flag', readThresholdMetrics),
    block: fields.object('block', readThresholdMetrics),
  }
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readThresholdMetrics(fields: FieldReader): ThresholdMetrics {
  return {
    alerts: fields.integer('alerts'),
    alertShare: fields.number('alertShare', 0, 1),
    precision: fields.number('precision', 0, 1),
    recall: fields.number('recall', 0, 1),
  }
}

function readFileDigest(fields: FieldReader): FileDigest {
  return { sha256: fields.digest('sha256'), bytes: fields.integer('bytes', 1, FILE_BYTES_MAX) }
}

/** The large net of a cascade. It reads the same scaled features as the draft, and the card's last payments. */
export interface TargetManifest {
  readonly members: number
  readonly eventUnits: readonly number[]
  readonly hiddenUnits: readonly number[]
  readonly epochs: number
  readonly encoding: SequenceEncoding
  readonly calibration: Calibration
  /** Calibrated draft score from which the target decides. */
  readonly verifyFrom: number
  /** Share of the validation rows that the target verifies. */
  readonly verifiedShare: number
  /** Share of payments that the target scores whatever the draft says, to measure agreement. */
  readonly sampleShare: number
  readonly agreement: Agreement
}

/** Names of the layers of a member, counted from 1: the trainer writes them and the scorer finds layers by them. */
export const memberLayers = {
  event: (member: number, index: number): string => `member_${member}_event_${index + 1}`,
  dense: (member: number, index: number): string => `member_${member}_dense_${index + 1}`,
  output: (member: number): string => `member_${member}_output`,
} as const

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readTarget(fields: FieldReader): TargetManifest {
  return {
    members: fields.integer('members', 1, 16),
    eventUnits: fields.array('eventUnits', 16, readNumber),
    hiddenUnits: fields.array('hiddenUnits', 16, readNumber),
    epochs: fields.integer('epochs'),
    encoding: fields.object('encoding', (encoding) => ({
      against: readEdges(encoding, 'against', 'the target', 2),
      typical: readEdges(encoding, 'typical', 'the target', 2),
      amount: readEdges(encoding, 'amount', 'the target', 2),
      age: readEdges(encoding, 'age', 'the target', 2),
      clock: readEdges(encoding, 'clock', 'the target', 2),
      categories: readEdges(encoding, 'categories', 'the target'),
      amountByCategory: encoding.objectOrNull('amountByCategory', (ramps) =>
        readCodeRamps(ramps, 'the target'),
      ),
    })),
    calibration: fields.object('calibration', readCalibration),
    ...readBand(fields),
  }
}

/** Reads the start of the band and its agreement on validation. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readBand(
  fields: FieldReader,
): Pick<TargetManifest, 'verifyFrom' | 'verifiedShare' | 'sampleShare' | 'agreement'> {
  return {
    verifyFrom: fields.number('verifyFrom', 0, 1),
    verifiedShare: fields.number('verifiedShare', 0, 1),
    sampleShare: fields.number('sampleShare', 0, 1),
    agreement: fields.object('agreement', (agreement) => ({
      rows: agreement.integer('rows'),
      differing: agreement.integer('differing'),
      flags: agreement.integer('flags'),
      missedFlags: agreement.integer('missedFlags'),
      blocks: agreement.integer('blocks'),
      missedBlocks: agreement.integer('missedBlocks'),
      confidence: agreement.number('confidence', 0, 1),
      overallAtLeast: agreement.number('overallAtLeast', 0, 1),
      flagsAtLeast: agreement.number('flagsAtLeast', 0, 1),
      blocksAtLeast: agreement.number('blocksAtLeast', 0, 1),
    })),
  }
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readCalibration(fields: FieldReader): Calibration {
  return {
    kind: fields.oneOf('kind', ['identity', 'platt']),
    slope: fields.number('slope', Number.MIN_VALUE, 1e6),
    intercept: fields.number('intercept', -1e6, 1e6),
  }
}

/** Most edges of a feature, and most codes. */
const EDGES_MAX = 64

/** Reads ascending numbers, at least `countMin`. `of` names their owner. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readEdges(
  fields: FieldReader,
  name: string,
  of: string,
  countMin = 0,
): readonly number[] {
  const edges = fields.array(name, EDGES_MAX, readNumber)
  if (edges.length >= countMin && edges.every((edge, at) => edge > (edges[at - 1] ?? -Infinity)))
    return edges
  throw corrupt(`manifest.json: the "${name}" of ${of} do not ascend`)
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readCodeRamps(fields: FieldReader, of: string): CodeRamps {
  const codes = readEdges(fields, 'codes', of)
  const edges = fields.array('edges', EDGES_MAX + 1, (list, path) => {
    if (Array.isArray(list) && list.length >= 2 && list.length <= EDGES_MAX) {
      const numbers = list.map((edge: unknown, at) => readNumber(edge, `${path}[${at}]`))
      if (numbers.every((edge, at) => edge >= (numbers[at - 1] ?? -Infinity))) return numbers
    }
    throw corrupt(`${path} of ${of} is not a list of 2 to ${EDGES_MAX} edges that never descend`)
  })
  const length = edges[0]?.length
  if (edges.length === codes.length + 1 && edges.every((each) => each.length === length)) {
    return { codes, edges }
  }
  throw corrupt(`manifest.json: the codes of ${of} need a list of edges each and one for others`)
}
