// Opens a model folder for scoring: of the backends that load and reproduce the model's golden vectors, the
// fastest at the working batch is used, or the one that was asked for, or nothing.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_COUNT } from '../../core/features/feature-list.ts'
import { scoreOf } from '../../core/scoring/calibration.ts'
import { GOLDEN_TOLERANCE, goldenError } from '../../core/scoring/golden.ts'
import { compileScaling, type CompiledScaling } from '../../core/scoring/scaling.ts'
import {
  BACKENDS,
  type Backend,
  type BackendTrial,
  type ScoringModel,
  type ScoringModelInfo,
} from '../../core/scoring/scoring-model.ts'
import type { Logger } from '../log.ts'
import { RUN_ROWS_MAX, openDenseNet, type DenseNet } from './dense-net.ts'
import { BackendProblem, openBackend } from './load-tensorflow.ts'
import { readModelFolder, type ModelFolder } from './model-folder.ts'

/** Rows of the batch at which backends are compared. */
export const WORKING_BATCH_ROWS = 256

const MEASURED_RUNS_MIN = 10
const MEASURED_RUNS_MAX = 80
const MEASURED_MS_MAX = 40

export interface OpenModelOptions {
  readonly folder: string
  /** `auto`: the fastest that works. Any other: that one or an error. */
  readonly backend: Backend | 'auto'
  /** Of the table that amounts are converted with; that of DEFAULT_RATES unless given. */
  readonly ratesDigest?: string
  readonly log?: Logger
}

interface Candidate {
  readonly trial: BackendTrial
  /** Null when the backend cannot be used. */
  readonly scorer: Scorer | null
  readonly isOnGpu: boolean
}

interface Scorer {
  score(rows: Float64Array, rowCount: number): Float64Array
  close(): void
}

/**
 * Opens a model.
 * @throws SluiceError SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE (see readModelFolder), or
 * SLUICE_BACKEND_UNAVAILABLE saying what was tried and why it cannot be used.
 */
export async function openScoringModel(options: OpenModelOptions): Promise<ScoringModel> {
  const { folder, backend, log, ratesDigest = DEFAULT_RATES.digest } = options
  const model = await readModelFolder(folder, ratesDigest)
  const candidates: Candidate[] = []
  // One after the other: backends share the registry of TensorFlow.js.
  for (const name of backend === 'auto' ? BACKENDS : [backend]) {
    candidates.push(await tryBackend(name, model))
  }
  const used = fastest(candidates)
  if (used === null) throw unavailable(backend, candidates)
  for (const candidate of candidates) {
    if (candidate.scorer !== used.scorer) candidate.scorer?.close()
  }
  const trials = candidates.map(({ trial }) =>
    trial === used.trial ? { ...trial, result: 'used' as const } : trial,
  )
  const info = describe(model, used, trials)
  log?.info({ model: info.version, backend: info.backend, trials }, 'The model is open.')
  if (info.backend === 'cpu') log?.warn({ trials }, 'Scoring runs on the slow cpu backend.')
  return {
    info,
    score: (rows, rowCount) => used.scorer.score(rows, rowCount),
    close: () => {
      used.scorer.close()
    },
  }
}

async function tryBackend(name: Backend, model: ModelFolder): Promise<Candidate> {
  const scaling = compileScaling(model.manifest.scaling)
  try {
    const open = await openBackend(name)
    const net = await openDenseNet(open, model.net, scaling.inputCount)
    const scorer = createScorer(net, scaling, model)
    const { golden } = model
    const goldenErrorMax = goldenError(golden.scores, scorer.score(golden.rows, golden.rowCount))
    if (goldenErrorMax > GOLDEN_TOLERANCE) {
      scorer.close()
      const detail = `${open.detail}; golden scores differ by ${goldenErrorMax.toExponential(1)}`
      const refusal = 'golden_mismatch'
      const trial = { backend: name, result: 'wrong', refusal, detail, goldenErrorMax } as const
      return { trial: { ...trial, batchMicroseconds: null }, scorer: null, isOnGpu: false }
    }
    const batchMicroseconds = measure(scorer, golden.rows)
    const { detail, isOnGpu } = open
    const trial: BackendTrial = {
      backend: name,
      result: 'usable',
      refusal: null,
      detail,
      batchMicroseconds,
      goldenErrorMax,
    }
    return { trial, scorer, isOnGpu }
  } catch (error) {
    // A model that is not as it should be is no fault of the backend.
    if (error instanceof SluiceError) throw error
    const detail = error instanceof Error ? error.message : String(error)
    // Whatever fails after a backend has started and computed is a failure to run the net.
    const refusal = error instanceof BackendProblem ? error.refusal : 'run_failed'
    const trial = { backend: name, result: 'unavailable', refusal, detail } as const
    return {
      trial: { ...trial, batchMicroseconds: null, goldenErrorMax: null },
      scorer: null,
      isOnGpu: false,
    }
  }
}

function createScorer(
  net: DenseNet,
  scaling: CompiledScaling,
  { manifest: { calibration } }: ModelFolder,
): Scorer {
  const { inputCount } = scaling
  const isTaken = new Uint8Array(RUN_ROWS_MAX)
  return {
    score(rows, rowCount) {
      const scores = new Float64Array(rowCount)
      for (let start = 0; start < rowCount; start += RUN_ROWS_MAX) {
        const count = Math.min(RUN_ROWS_MAX, rowCount - start)
        for (let row = 0; row < count; row += 1) {
          const from = (start + row) * FEATURE_COUNT
          isTaken[row] = scaling.writeRow(rows, from, net.inputs, row * inputCount) ? 1 : 0
        }
        const logits = net.run(count)
        for (let row = 0; row < count; row += 1) {
          scores[start + row] = isTaken[row] === 1 ? scoreOf(logits[row] ?? NaN, calibration) : NaN
        }
      }
      return scores
    },
    close: () => {
      net.close()
    },
  }
}

/**
 * Microseconds of one working batch, the best of some runs: what disturbs a run (compilation, collection,
 * neighbours on the machine) only ever makes it slower.
 */
function measure(scorer: Scorer, sample: Float64Array): number {
  const rows = new Float64Array(WORKING_BATCH_ROWS * FEATURE_COUNT)
  for (let at = 0; at < rows.length; at += sample.length) {
    rows.set(sample.subarray(0, Math.min(sample.length, rows.length - at)), at)
  }
  const beganMs = performance.now()
  let bestMs = Infinity
  for (let run = 0; run < MEASURED_RUNS_MAX; run += 1) {
    const startMs = performance.now()
    if (run >= MEASURED_RUNS_MIN && startMs - beganMs > MEASURED_MS_MAX) break
    scorer.score(rows, WORKING_BATCH_ROWS)
    bestMs = Math.min(bestMs, performance.now() - startMs)
  }
  return Math.round(bestMs * 1_000)
}

function fastest(candidates: readonly Candidate[]): (Candidate & { scorer: Scorer }) | null {
  let best: (Candidate & { scorer: Scorer }) | null = null
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
    featureListHash: manifest.featureListHash,
    ratesDigest: manifest.ratesDigest,
    flagThreshold: manifest.thresholds.flag,
    blockThreshold: manifest.thresholds.block,
    usual: manifest.usual,
    population: manifest.population,
    isCalibrated: manifest.calibration.kind !== 'identity',
    workingBatchRows: WORKING_BATCH_ROWS,
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
      '"sluice doctor" to see what each one needs.',
    { details: { trials: candidates.map(({ trial }) => trial) } },
  )
}
