// Scoring: rows per second of the released model on every backend that is available here, by batch size. The rows are
// feature rows of the simulated load. Every batch size must give the same bits.

import { join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { SEQUENCE_LENGTH } from '../../services/core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../services/core/features/engine/history-fold.ts'
import {
  BACKENDS,
  type Backend,
  type ScoringModel,
  type VerifiableRows,
} from '../../services/core/scoring/scoring-model.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { simulate } from '../simulator/simulate.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import { BENCH_SEED, BENCH_START_MS } from './feature-load.ts'
import { median } from './statistics.ts'

export const SCORING_BATCHES = [1, 64, 256, 512, 2_048] as const

/** Rows to score; whole batches of the largest size. */
const ROW_COUNT = 8_192
const WARM_SHARE = 0.2
/** Each call is timed: checking the limit only after several calls would hide a slow backend. */
const CALLS_MAX = 200_000

export interface ScoringOptions {
  /** Folder of the model; the released one unless given. */
  readonly modelFolder?: string
  /** Time measured for each backend and batch size, milliseconds. */
  readonly measureMs: number
}

export interface BatchResult {
  readonly rows: number
  readonly calls: number
  /** Median of the calls. */
  readonly microsecondsPerCall: number
  readonly rowsPerSecond: number
}

export interface BackendResult {
  readonly backend: Backend
  /** Device and library, or the reason why the backend cannot be used. */
  readonly detail: string
  readonly modelVersion: string | null
  /** Null when it cannot be used. */
  readonly batches: readonly BatchResult[] | null
  /** True when every batch size gave the same bits for a row; null when the backend cannot be used. */
  readonly hasSameBits: boolean | null
}

/** Runs the benchmark. The result names the backends that do not load here. */
export async function runScoringBench(
  options: ScoringOptions,
  onProgress: (line: string) => void,
): Promise<readonly BackendResult[]> {
  const { rows } = simulatedRows(ROW_COUNT)
  const results: BackendResult[] = []
  for (const backend of BACKENDS) {
    onProgress(`scoring on ${backend}`)
    results.push(await measureBackend(backend, rows, options))
  }
  return results
}

/** Rows as the scorer would see them, from a history folded in memory. */
export function simulatedRows(count: number): VerifiableRows {
  const rows = new Float64Array(count * FEATURE_COUNT)
  const sequences = new Float64Array(count * SEQUENCE_LENGTH)
  const amountsMinor = new Float64Array(count)
  const fold = new HistoryFold({ rates: DEFAULT_RATES })
  let row = 0
  for (const event of simulate({
    seed: BENCH_SEED,
    startMs: BENCH_START_MS,
    transactionsMax: count,
  })) {
    if (event.kind === 'label') {
      fold.label(event.label)
      continue
    }
    fold.sequence(event.transaction, sequences, row * SEQUENCE_LENGTH)
    amountsMinor[row] = fold.transaction(event.transaction, rows, row * FEATURE_COUNT).amountMinor
    row += 1
    if (row === count) break
  }
  return { rows, sequences, amountsMinor }
}

async function measureBackend(
  backend: Backend,
  rows: Float64Array,
  { measureMs, modelFolder }: ScoringOptions,
): Promise<BackendResult> {
  const folder = modelFolder ?? join(repositoryRoot(), 'models/simulator')
  let model: ScoringModel
  try {
    model = await openScoringModel({ folder, backend })
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'SLUICE_BACKEND_UNAVAILABLE') throw error
    const detail = error.message
    return { backend, detail, modelVersion: null, batches: null, hasSameBits: null }
  }
  try {
    const batches: BatchResult[] = []
    for (const size of SCORING_BATCHES) {
      batches.push(await measureBatch(model, rows, size, measureMs))
    }
    const { backendDetail: detail, version: modelVersion } = model.info
    return { backend, detail, modelVersion, batches, hasSameBits: await sameBits(model, rows) }
  } finally {
    model.close()
  }
}

async function measureBatch(
  model: ScoringModel,
  rows: Float64Array,
  size: number,
  measureMs: number,
): Promise<BatchResult> {
  const timesMs: number[] = []
  const beginMs = performance.now()
  const warmMs = beginMs + measureMs * WARM_SHARE
  const endMs = warmMs + measureMs
  let position = 0
  let nowMs = beginMs
  // At least one call is measured, however slow the backend is.
  while ((nowMs < endMs || timesMs.length === 0) && timesMs.length < CALLS_MAX) {
    const batch = rows.subarray(position * FEATURE_COUNT, (position + size) * FEATURE_COUNT)
    position = (position + size) % ROW_COUNT
    const startMs = performance.now()
    const scores = model.score(batch, size)
    // Awaiting a value that is not a promise would cost a turn of the event loop per call.
    if (scores instanceof Promise) await scores
    nowMs = performance.now()
    if (startMs >= warmMs) timesMs.push(nowMs - startMs)
  }
  const callMs = median(timesMs)
  return {
    rows: size,
    calls: timesMs.length,
    microsecondsPerCall: callMs * 1_000,
    rowsPerSecond: (size * 1_000) / callMs,
  }
}

async function sameBits(model: ScoringModel, rows: Float64Array): Promise<boolean> {
  const count = Math.max(...SCORING_BATCHES)
  const whole = await model.score(rows.subarray(0, count * FEATURE_COUNT), count)
  for (const size of SCORING_BATCHES) {
    for (let start = 0; start < count; start += size) {
      const part = rows.subarray(start * FEATURE_COUNT, (start + size) * FEATURE_COUNT)
      const scores = await model.score(part, size)
      for (let row = 0; row < size; row += 1) {
        if (!Object.is(scores[row], whole[start + row])) return false
      }
    }
  }
  return true
}
