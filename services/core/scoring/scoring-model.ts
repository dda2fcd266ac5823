// The interface between the pipeline and whatever computes scores, the thread that scores by default, and the rule for
// a fallback (P7: a fallback is never silent).

import type { TrainingDistribution } from './training-distribution.ts'

/** Backends of TensorFlow. */
export const TENSORFLOW_BACKENDS = ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const
export type TensorFlowBackend = (typeof TENSORFLOW_BACKENDS)[number]

/** Backends that compute scores, in order of preference when measured equal. `compiled`: docs/adr/0037. */
export const BACKENDS = ['compiled', ...TENSORFLOW_BACKENDS] as const
export type Backend = (typeof BACKENDS)[number]

/** Threads that compute scores: the thread that does everything else, or one of their own. */
export const SCORING_THREADS = ['main', 'worker'] as const
export type ScoringThread = (typeof SCORING_THREADS)[number]

/** Reasons why a backend that is present is not used. The list is closed: it is also a metric label. */
export const REFUSAL_REASONS = [
  'load_failed',
  'start_failed',
  'wrong_result',
  'run_failed',
  'golden_mismatch',
  'tensorflow_mismatch',
  'batch_dependent',
] as const
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

/** One backend that was tried when the model was opened. */
export interface BackendTrial {
  readonly backend: Backend
  /** `usable`: it loads and reproduces the golden vectors, but another one is used. */
  readonly result: 'used' | 'usable' | 'unavailable' | 'wrong'
  /** Null when it can be used, and when it is not installed: an absent backend is not refused. */
  readonly refusal: RefusalReason | null
  /** The device that it runs on, or the reason why it cannot be used. */
  readonly detail: string
  /** Best time of one working batch, in microseconds; null when it was not measured. */
  readonly batchMicroseconds: number | null
  /** Largest difference from a golden score; null when none was computed. */
  readonly goldenErrorMax: number | null
  /** True when a row got the same bits in batches of several sizes (P3); null when it was not tried. */
  readonly hasSameBits: boolean | null
}

/** Facts about an open model. */
export interface ScoringModelInfo {
  readonly name: string
  readonly version: string
  /** SHA-256 of the bytes of manifest.json, hex; the manifest holds the digests of all other files. */
  readonly digest: string
  readonly backend: Backend
  /** Device and library, such as "1 core, SIMD". */
  readonly backendDetail: string
  readonly isOnGpu: boolean
  /** False when a row's score may depend on its batch, so decisions cannot be repeated bit for bit (P3). */
  readonly hasSameBits: boolean
  readonly featureListHash: string
  /** The currency of the amounts that it was trained on. */
  readonly referenceCurrency: string
  readonly ratesDigest: string
  /** A score at or above it is flagged. */
  readonly flagThreshold: number
  /** A score at or above it is blocked; above `flagThreshold`. */
  readonly blockThreshold: number
  /** Baseline of each feature, in order, over genuine transactions. Never NaN. */
  readonly baseline: readonly number[]
  /** Distributions of the training rows. */
  readonly trainingDistribution: TrainingDistribution
  /** True when scores are probabilities as observed on validation data, not just ranks. */
  readonly isCalibrated: boolean
  /**
   * For a cascade: the smallest share of payments whose outcome equals the large net's, as the manifest states; null
   * for one net.
   */
  readonly agreementAtLeast: number | null
  /** Rows of the batch on which backends were compared. */
  readonly workingBatchRows: number
  readonly thread: ScoringThread
  readonly trials: readonly BackendTrial[]
}

/** Input of the large net of a cascade; by row. */
export interface VerifiableRows {
  /** FEATURE_COUNT raw values per row. */
  readonly rows: Float64Array
  /** SEQUENCE_LENGTH numbers per row: the earlier payments of the card (see writeSequence). */
  readonly sequences: Float64Array
  /** Minor units of the reference currency. */
  readonly amountsMinor: Float64Array
  /**
   * The index into `sequences` and `amountsMinor` of each row, where rows share them. It starts at 0 and rises by 0
   * or 1 from row to row. Shared input is computed once.
   */
  readonly sequenceOf?: Uint32Array
}

/** The large net of a cascade (draft and verify). */
export interface Verifier {
  /** Draft score from which this net decides; 0 means always. */
  readonly verifyFrom: number
  /** Share of payments that it scores whatever the draft says, to measure agreement. */
  readonly sampleShare: number
  /** Scores rows as ScoringModel.score does. */
  score(rows: VerifiableRows, rowCount: number): Promise<Float64Array>
}

/** A model that scores feature rows. If `hasSameBits`, a row gets the same bits in a batch of any size. */
export interface ScoringModel {
  readonly info: ScoringModelInfo
  /**
   * Scores `rowCount` rows of FEATURE_COUNT raw values each (NaN is absent), 0 to 1, in order. NaN means "not
   * scored": the row holds a value that this model does not accept. The array belongs to the caller.
   */
  score(rows: Float64Array, rowCount: number): Float64Array | Promise<Float64Array>
  /** Null for a model of one net; otherwise `score` returns the draft's scores. */
  readonly verifier: Verifier | null
  close(): void
}

/**
 * A working batch that takes longer is scored in a thread of its own. Sending rows there costs up to half a
 * millisecond of the main thread (docs/adr/0014).
 */
const MAIN_THREAD_MICROSECONDS_MAX = 4_000

/** A thread of its own where a batch would block everything else. Waiting for a GPU blocks nothing. */
export function threadFor({
  backend,
  trials,
}: Pick<ScoringModelInfo, 'backend' | 'trials'>): ScoringThread {
  if (backend === 'webgpu') return 'main'
  const isSlow = trials.some(
    ({ result, batchMicroseconds }) =>
      result === 'used' &&
      batchMicroseconds !== null &&
      batchMicroseconds > MAIN_THREAD_MICROSECONDS_MAX,
  )
  return isSlow ? 'worker' : 'main'
}

/**
 * Backends that an operator may expect. `none` and `auto` accept the best that works, `gpu` any backend that computes
 * on a GPU.
 */
export const EXPECTATIONS = ['none', 'auto', 'gpu', 'tensorflow-gpu', ...BACKENDS] as const
export type Expectation = (typeof EXPECTATIONS)[number]

/** True when a backend other than the expected one is in use, or when one that is present was refused. */
export function isFallback(
  expected: Expectation,
  { backend, isOnGpu, trials }: Pick<ScoringModelInfo, 'backend' | 'isOnGpu' | 'trials'>,
): boolean {
  if (refusedBackends(trials).length > 0) return true
  if (expected === 'none' || expected === 'auto') return false
  if (expected === 'gpu') return !isOnGpu
  if (expected === 'tensorflow-gpu') return backend !== 'tensorflow' || !isOnGpu
  return backend !== expected
}

/** Backends that are present but refused, with the reason. One that is not installed is not refused. */
export function refusedBackends(
  trials: readonly BackendTrial[],
): readonly { readonly backend: Backend; readonly reason: RefusalReason }[] {
  return trials.flatMap(({ backend, refusal }) =>
    refusal === null ? [] : [{ backend, reason: refusal }],
  )
}
