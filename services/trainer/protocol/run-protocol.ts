// Trains on each week of the protocol and scores what it assesses.

import { scoreOf, type Calibration } from '../../core/scoring/calibration.ts'
import type { OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from '../dataset.ts'
import { trainCascade, type CascadeShape } from '../train-cascade.ts'
import { protocolWeek, type Conditions, type ProtocolWeek } from './handbook-weeks.ts'
import { protocolFigures, type ProtocolFigures } from './protocol-figures.ts'

/** Logits of frauds weigh as all others in training, so they are probabilities as they are. */
const IDENTITY: Calibration = { kind: 'identity', slope: 1, intercept: 0 }

export interface ProtocolOptions {
  readonly weeks: readonly string[]
  readonly conditions: Conditions
  /** Seeds 1 to this. */
  readonly seeds: number
  readonly epochs: number
  readonly shape: CascadeShape
  readonly onProgress: (line: string) => void
}

/** What one seed made of one week. */
export interface WeekResult {
  readonly trainStart: string
  readonly seed: number
  readonly rows: number
  readonly frauds: number
  readonly draft: ProtocolFigures
  readonly target: ProtocolFigures
  readonly trainSeconds: number
}

/** The target's scores of one week, the mean over the seeds. */
export interface WeekScores {
  readonly trainStart: string
  readonly ids: readonly string[]
  readonly scores: Float64Array
  /** Of the mean over the seeds. */
  readonly figures: ProtocolFigures
}

/** Weeks in turn; each result is reported as it comes. */
export async function* runProtocol(
  backend: OpenBackend,
  dataset: Dataset,
  options: ProtocolOptions,
): AsyncGenerator<{ readonly results: readonly WeekResult[]; readonly week: WeekScores }> {
  for (const trainStart of options.weeks) {
    const week = protocolWeek(dataset, trainStart, options.conditions)
    const sum = new Float64Array(week.assessed.length)
    const results: WeekResult[] = []
    for (let seed = 1; seed <= options.seeds; seed += 1) {
      const startMs = performance.now()
      const scored = await scoreWeek(backend, dataset, week, seed, options)
      for (const [row, score] of scored.target.entries()) sum[row] = (sum[row] ?? 0) + score
      const result: WeekResult = {
        ...{ trainStart, seed, rows: week.assessed.length },
        frauds: week.assessed.reduce((count, row) => count + (dataset.truth[row] ?? 0), 0),
        draft: figuresOf(dataset, week, scored.draft),
        target: figuresOf(dataset, week, scored.target),
        trainSeconds: (performance.now() - startMs) / 1_000,
      }
      results.push(result)
      const precision = (of: ProtocolFigures): string => of.averagePrecision.toFixed(4)
      options.onProgress(
        `week ${trainStart}, seed ${seed}: average precision ${precision(result.target)} ` +
          `(draft ${precision(result.draft)}), ${result.trainSeconds.toFixed(0)} s`,
      )
    }
    const scores = sum.map((value) => value / options.seeds)
    const ids = Array.from(week.assessed, (row) => dataset.ids[row] ?? '')
    yield { results, week: { trainStart, ids, scores, figures: figuresOf(dataset, week, scores) } }
  }
}

async function scoreWeek(
  backend: OpenBackend,
  dataset: Dataset,
  { trainStart, train, assessed }: ProtocolWeek,
  seed: number,
  { epochs, shape, onProgress }: ProtocolOptions,
): Promise<{ readonly draft: Float64Array; readonly target: Float64Array }> {
  const cascade = await trainCascade(backend, dataset, train, null, {
    ...{ seed, shape },
    epochsMax: epochs,
    onProgress: (line) => {
      onProgress(`week ${trainStart}, seed ${seed}: ${line}`)
    },
  })
  try {
    const scoresOf = (part: typeof cascade.draft): Float64Array =>
      part.net.logits(part.rowsOf(dataset, assessed)).map((logit) => scoreOf(logit, IDENTITY))
    return { draft: scoresOf(cascade.draft), target: scoresOf(cascade.target) }
  } finally {
    cascade.close()
  }
}

function figuresOf(dataset: Dataset, week: ProtocolWeek, scores: Float64Array): ProtocolFigures {
  const rows = Array.from(week.assessed)
  return protocolFigures({
    scores,
    truth: Uint8Array.from(rows, (row) => dataset.truth[row] ?? 0),
    cards: rows.map((row) => dataset.cards[row] ?? 0),
    eventTimesMs: rows.map((row) => dataset.eventTimesMs[row] ?? 0),
    amounts: rows.map((row) => (dataset.amountsMinor[row] ?? 0) / 100),
  })
}
