// Opens a model folder for scoring. Each backend is tried: does it load, does it reproduce the golden vectors, does a
// row get the same bits in any batch, and how long does a working batch take? The fastest backend that works is used;
// a requested backend is used or the model does not open.

import { DEFAULT_RATES } from '../../core/rates/default-rates.ts'
import { SluiceError } from '../../core/errors.ts'
import {
  BACKENDS,
  type Backend,
  type BackendTrial,
  type ScoringModel,
  type ScoringModelInfo,
  type ScoringThread,
  threadFor,
  type RefusalReason,
} from '../../core/scoring/scoring-model.ts'
import type { Logger } from '../log.ts'
import { readModelFolder, type ModelFolder } from './model-folder.ts'
import { openCompiledScorer } from '../compiled-net/compiled-scorer.ts'
import { differsFromTensorFlow } from '../compiled-net/compare-scores.ts'
import { type RowScorer, openRowScorer } from './row-scorer.ts'
import { openThreadedScorer } from './threaded-model.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { GOLDEN_TOLERANCE, goldenError, type GoldenVectors } from '../../core/scoring/golden.ts'
import { BackendProblem, openBackend, type OpenBackend } from './load-tensorflow.ts'

export interface OpenModelOptions {
  readonly folder: string
  /** `auto` uses the fastest that works; any other value uses that backend or fails. */
  readonly backend: Backend | 'auto'
  /** The currency that amounts are converted to; that of DEFAULT_RATES unless given. */
  readonly referenceCurrency?: string
  readonly log?: Logger
  /** Thread that scores; `main` unless given. `auto` uses a thread of its own where a batch takes long. */
  readonly thread?: ScoringThread | 'auto'
}

type UsableCandidate = Candidate & { readonly scorer: RowScorer }

/**
 * Opens a model.
 * @throws SluiceError SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE (see readModelFolder), or
 * SLUICE_BACKEND_UNAVAILABLE naming what was tried and why it cannot be used.
 */
export async function openScoringModel(options: OpenModelOptions): Promise<ScoringModel> {
  const { thread = 'main', log } = options
  const model = await openHere(options)
  if ((thread === 'auto' ? threadFor(model.info) : thread) === 'main') return model
  try {
    const { folder, referenceCurrency = DEFAULT_RATES.reference } = options
    const { backend, digest } = model.info
    const scorer = await openThreadedScorer({ folder, backend, referenceCurrency, digest })
    log?.info({ backend }, 'Scoring runs in a worker thread.')
    return {
      info: { ...model.info, thread: 'worker' },
      score: (rows, rowCount) => scorer.score(rows, rowCount),
      // Few rows are verified, so the target stays on this thread.
      verifier: model.verifier,
      close: () => {
        scorer.close()
        model.close()
      },
    }
  } catch (error) {
    if (thread === 'auto') {
      log?.warn({ error }, 'The scoring thread did not start; scoring stays on the main thread.')
      return model
    }
    model.close()
    throw error
  }
}

async function openHere(options: OpenModelOptions): Promise<ScoringModel> {
  const { folder, backend, log, referenceCurrency = DEFAULT_RATES.reference } = options
  const model = await readModelFolder(folder, referenceCurrency)
  const candidates: Candidate[] = []
  // In turn, because backends share the registry of TensorFlow.js.
  for (const name of backend === 'auto' ? BACKENDS : [backend]) {
    candidates.push(await tryBackend(name, model, { mustHaveSameBits: backend === 'auto' }))
  }
  const used = fastest(candidates)
  if (used === null) throw unavailable(backend, candidates)
  for (const candidate of candidates) {
    if (candidate.scorer !== used.scorer) candidate.scorer?.close()
  }
  const trials = candidates.map(({ trial }): BackendTrial =>
    trial === used.trial ? { ...trial, result: 'used' } : trial,
  )
  const info = describe(model, used, trials)
  log?.info({ model: info.version, backend: info.backend, trials }, 'Model opened.')
  if (!info.hasSameBits)
    log?.warn(
      { trials },
      'Scores depend on the size of the batch, so decisions cannot be repeated bit for bit.',
    )
  if (info.backend === 'cpu') log?.warn({ trials }, 'The model is scored on the slow cpu backend.')
  return {
    info,
    score: (rows, rowCount) => used.scorer.score(rows, rowCount),
    verifier: used.scorer.target,
    close: () => {
      used.scorer.close()
    },
  }
}

function fastest(candidates: readonly Candidate[]): UsableCandidate | null {
  let best: UsableCandidate | null = null
  for (const { trial, scorer, isOnGpu } of candidates) {
    if (scorer === null) continue
    if ((trial.batchMicroseconds ?? Infinity) < (best?.trial.batchMicroseconds ?? Infinity)) {
      best = { trial, scorer, isOnGpu }
    }
  }
  return best
}

function describe(
  { manifest, digest }: ModelFolder,
  { trial: used, isOnGpu }: Candidate,
  trials: readonly BackendTrial[],
): ScoringModelInfo {
  return {
    name: manifest.name,
    version: manifest.version,
    digest,
    backend: used.backend,
    backendDetail: used.detail,
    isOnGpu,
    hasSameBits: used.hasSameBits === true,
    featureListHash: manifest.featureListHash,
    referenceCurrency: manifest.referenceCurrency,
    ratesDigest: manifest.ratesDigest,
    flagThreshold: manifest.thresholds.flag,
    blockThreshold: manifest.thresholds.block,
    baseline: manifest.baseline,
    trainingDistribution: manifest.trainingDistribution,
    isCalibrated: manifest.calibration.kind !== 'identity',
    agreementAtLeast: manifest.target?.agreement.overallAtLeast ?? null,
    workingBatchRows: WORKING_BATCH_ROWS,
    thread: 'main',
    trials,
  }
}

function unavailable(wanted: Backend | 'auto', candidates: readonly Candidate[]): SluiceError {
  const reasons = candidates.map(({ trial }) => `${trial.backend}: ${trial.detail}`).join('; ')
  const what = wanted === 'auto' ? 'No scoring backend' : `The scoring backend "${wanted}"`
  const verb = wanted === 'auto' ? 'works' : 'cannot be used'
  return new SluiceError(
    'SLUICE_BACKEND_UNAVAILABLE',
    `${what} ${verb} (${reasons}). Use "auto" or another of ${BACKENDS.join(', ')}, and run ` +
      '"sluice doctor" to see what each backend needs.',
    { details: { trials: candidates.map(({ trial }) => trial) } },
  )
}

/** Rows of the batch on which backends are compared. */
export const WORKING_BATCH_ROWS = 256

/** Sizes of the batches that must reproduce the scores of the whole, in turn: around tiles of 8, 16 and 32 rows. */
const PART_SIZES = [1, 3, 7, 8, 9, 15, 17, 31, 33] as const

const MEASURED_RUNS_MIN = 10
const MEASURED_RUNS_MAX = 80
const MEASURED_MS_MAX = 40

export interface Candidate {
  readonly trial: BackendTrial
  /** Null when the backend cannot be used. */
  readonly scorer: RowScorer | null
  readonly isOnGpu: boolean
}

/** `mustHaveSameBits` refuses a backend that scores a row differently depending on the rest of the batch. */
export interface TrialOptions {
  readonly mustHaveSameBits: boolean
}

/** Tries a model on a backend. @throws SluiceError SLUICE_MODEL_CORRUPT; problems of the backend are in the trial. */
export async function tryBackend(
  name: Backend,
  model: ModelFolder,
  options: TrialOptions,
): Promise<Candidate> {
  let scorer: RowScorer | null = null
  try {
    if (name === 'compiled') {
      const tensorFlow = await openReference()
      scorer = await openCompiledScorer(tensorFlow, model)
      const differs = await differsFromTensorFlow(tensorFlow, scorer, model)
      return await judge(COMPILED, scorer, model, { ...options, differs })
    }
    const open = await openBackend(name)
    scorer = await openRowScorer(open, model)
    return await judge(open, scorer, model, { ...options, differs: null })
  } catch (error) {
    scorer?.close()
    // A damaged model is not the fault of the backend.
    if (error instanceof SluiceError) throw error
    const detail = error instanceof Error ? error.message : String(error)
    // Any failure after a backend has started and computed is a failure to run the net.
    const refusal = error instanceof BackendProblem ? error.refusal : 'run_failed'
    const unmeasured = { batchMicroseconds: null, goldenErrorMax: null, hasSameBits: null }
    const trial = { backend: name, result: 'unavailable', refusal, detail, ...unmeasured } as const
    return { trial, scorer: null, isOnGpu: false }
  }
}

const COMPILED: Judged = {
  backend: 'compiled',
  detail: 'CPU, tables in WebAssembly with SIMD',
  isOnGpu: false,
}

/** The TensorFlow against which compiled nets are checked. */
async function openReference(): Promise<OpenBackend> {
  try {
    return await openBackend('wasm')
  } catch {
    return openBackend('cpu')
  }
}

/** `differs` says how the scores differ from TensorFlow's; null where they do not, or are TensorFlow's. */
type JudgeOptions = TrialOptions & { readonly differs: string | null }

/** The part of an open backend that is told of it. */
interface Judged {
  readonly backend: Backend
  readonly detail: string
  readonly isOnGpu: boolean
}

/** Closes the scorer unless it can be used. */
async function judge(
  { backend, detail, isOnGpu }: Judged,
  scorer: RowScorer,
  { golden, target }: ModelFolder,
  { mustHaveSameBits, differs }: JudgeOptions,
): Promise<Candidate> {
  const found = await scorer.score(golden.rows, golden.rowCount)
  const goldenErrorMax = Math.max(
    goldenError(golden.scores, found),
    await targetError(scorer, target?.golden ?? null),
  )
  const wrong = (refusal: RefusalReason, why: string, hasSameBits: boolean | null): Candidate => {
    const seen = { detail: `${detail}; ${why}`, goldenErrorMax, hasSameBits }
    const trial = { backend, result: 'wrong', refusal, ...seen, batchMicroseconds: null } as const
    scorer.close()
    return { trial, scorer: null, isOnGpu: false }
  }
  if (goldenErrorMax > GOLDEN_TOLERANCE) {
    const why = `golden scores differ by ${goldenErrorMax.toExponential(1)}`
    return wrong('golden_mismatch', why, null)
  }
  if (differs !== null) return wrong('tensorflow_mismatch', differs, null)
  const rows = repeated(golden.rows, FEATURE_COUNT)
  const hasSameBits =
    (await scoresAlike((start, end) => scorer.score(rowsOf(rows, start, end), end - start))) &&
    (await targetScoresAlike(scorer, target?.golden ?? null))
  if (!hasSameBits && mustHaveSameBits) {
    return wrong('batch_dependent', 'the scores of a row depend on the size of the batch', false)
  }
  const batchMicroseconds = await measure(scorer, rows)
  const seen = { detail, batchMicroseconds, goldenErrorMax, hasSameBits }
  return { trial: { backend, result: 'usable', refusal: null, ...seen }, scorer, isOnGpu }
}

/** Largest difference of the target's golden scores; 0 for a model of one net. */
async function targetError(scorer: RowScorer, golden: GoldenVectors | null): Promise<number> {
  const read = golden?.sequences ?? null
  if (golden === null || read === null || scorer.target === null) return 0
  const rows = { rows: golden.rows, sequences: read.values, amountsMinor: read.amountsMinor }
  return goldenError(golden.scores, await scorer.target.score(rows, golden.rowCount))
}

/** The sample, repeated until it fills a working batch with rows of `width` numbers. */
function repeated(sample: Float64Array, width: number): Float64Array {
  const rows = new Float64Array(WORKING_BATCH_ROWS * width)
  for (let at = 0; at < rows.length; at += sample.length) {
    rows.set(sample.subarray(0, Math.min(sample.length, rows.length - at)), at)
  }
  return rows
}

function rowsOf(
  rows: Float64Array,
  start: number,
  end: number,
  width = FEATURE_COUNT,
): Float64Array {
  return rows.subarray(start * width, end * width)
}

/** Checks P3 for the target; true for a model of one net. */
async function targetScoresAlike(
  { target }: RowScorer,
  golden: GoldenVectors | null,
): Promise<boolean> {
  const read = golden?.sequences ?? null
  if (golden === null || read === null || target === null) return true
  const rows = repeated(golden.rows, FEATURE_COUNT)
  const sequences = repeated(read.values, SEQUENCE_LENGTH)
  const amountsMinor = repeated(read.amountsMinor, 1)
  return scoresAlike((start, end) => {
    const part = {
      rows: rowsOf(rows, start, end),
      sequences: rowsOf(sequences, start, end, SEQUENCE_LENGTH),
      amountsMinor: amountsMinor.subarray(start, end),
    }
    return target.score(part, end - start)
  })
}

/**
 * Checks P3: parts of a working batch must get the same bits as in the whole. `score` scores the rows from `start` to
 * `end`.
 */
async function scoresAlike(
  score: (start: number, end: number) => Float64Array | Promise<Float64Array>,
): Promise<boolean> {
  const whole = await score(0, WORKING_BATCH_ROWS)
  for (let start = 0, turn = 0; start < WORKING_BATCH_ROWS; turn += 1) {
    const size = PART_SIZES[turn % PART_SIZES.length] ?? 1
    const end = Math.min(WORKING_BATCH_ROWS, start + size)
    const scores = await score(start, end)
    if (scores.some((each, row) => !Object.is(each, whole[start + row]))) return false
    start = end
  }
  return true
}

/**
 * Microseconds of one working batch, the best of several runs: disturbances (compilation, collection, neighbours on
 * the machine) only make a run slower.
 */
async function measure(scorer: RowScorer, rows: Float64Array): Promise<number> {
  const beganMs = performance.now()
  let bestMs = Infinity
  for (let run = 0; run < MEASURED_RUNS_MAX; run += 1) {
    const startMs = performance.now()
    if (run >= MEASURED_RUNS_MIN && startMs - beganMs > MEASURED_MS_MAX) break
    const scores = scorer.score(rows, WORKING_BATCH_ROWS)
    // Awaiting a value that is not a promise would add to the time.
    if (scores instanceof Promise) await scores
    bestMs = Math.min(bestMs, performance.now() - startMs)
  }
  return Math.round(bestMs * 1_000)
}
