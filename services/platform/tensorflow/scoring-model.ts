// Opens a model folder for scoring: of the backends that load and reproduce the model's golden vectors, the
// fastest at the working batch is used, or the one that was asked for, or nothing.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import {
  BACKENDS,
  type Backend,
  type BackendTrial,
  type ScoringModel,
  type ScoringModelInfo,
  type ScoringThread,
} from '../../core/scoring/scoring-model.ts'
import { threadFor } from '../../core/scoring/scoring-thread.ts'
import type { Logger } from '../log.ts'
import { tryBackend, WORKING_BATCH_ROWS, type Candidate } from './backend-trial.ts'
import { readModelFolder, type ModelFolder } from './model-folder.ts'
import type { RowScorer } from './row-scorer.ts'
import { openThreadedScorer } from './threaded-model.ts'

export interface OpenModelOptions {
  readonly folder: string
  /** `auto`: the fastest that works. Any other: that one or an error. */
  readonly backend: Backend | 'auto'
  /** Of the table that amounts are converted with; that of DEFAULT_RATES unless given. */
  readonly ratesDigest?: string
  readonly log?: Logger
  /** Where it is scored; `main` unless given. `auto`: in a thread of its own where a batch takes long. */
  readonly thread?: ScoringThread | 'auto'
}

type UsableCandidate = Candidate & { readonly scorer: RowScorer }

/**
 * Opens a model.
 * @throws SluiceError SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE (see readModelFolder), or
 * SLUICE_BACKEND_UNAVAILABLE saying what was tried and why it cannot be used.
 */
export async function openScoringModel(options: OpenModelOptions): Promise<ScoringModel> {
  const { thread = 'main', log } = options
  const model = await openHere(options)
  if ((thread === 'auto' ? threadFor(model.info) : thread) === 'main') return model
  try {
    const { folder, ratesDigest = DEFAULT_RATES.digest } = options
    const { backend, digest } = model.info
    const scorer = await openThreadedScorer({ folder, backend, ratesDigest, digest })
    log?.info({ backend }, 'Scoring runs in a thread of its own.')
    return {
      info: { ...model.info, thread: 'worker' },
      score: (rows, rowCount) => scorer.score(rows, rowCount),
      // What is verified is little, and stays here.
      verifier: model.verifier,
      close: () => {
        scorer.close()
        model.close()
      },
    }
  } catch (error) {
    if (thread === 'auto') {
      log?.warn({ error }, 'Scoring stays on the main thread.')
      return model
    }
    model.close()
    throw error
  }
}

async function openHere(options: OpenModelOptions): Promise<ScoringModel> {
  const { folder, backend, log, ratesDigest = DEFAULT_RATES.digest } = options
  const model = await readModelFolder(folder, ratesDigest)
  const candidates: Candidate[] = []
  // One after the other: backends share the registry of TensorFlow.js.
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
  log?.info({ model: info.version, backend: info.backend, trials }, 'The model is open.')
  if (!info.hasSameBits) log?.warn({ trials }, 'Scores depend on the size of the batch.')
  if (info.backend === 'cpu') log?.warn({ trials }, 'Scoring runs on the slow cpu backend.')
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
    ratesDigest: manifest.ratesDigest,
    flagThreshold: manifest.thresholds.flag,
    blockThreshold: manifest.thresholds.block,
    usual: manifest.usual,
    population: manifest.population,
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
      '"sluice doctor" to see what each one needs.',
    { details: { trials: candidates.map(({ trial }) => trial) } },
  )
}
