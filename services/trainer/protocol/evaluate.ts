// Runs a protocol over a history: trains on each week with each seed, scores the assessed rows and summarises. Scores
// are stored after each week, so an interrupted run continues from the last one.

import type { RateTable } from '../../core/rates/rate-table.ts'
import { FEATURE_LIST_HASH } from '../../core/features/catalogue/feature-list.ts'
import type { OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import { collectDataset, type Dataset, type HistoryEvent } from '../dataset/dataset.ts'
import { averagePrecision } from '../metrics.ts'
import {
  checkRunFolder,
  openRunFolder,
  type RunChoice,
  type RunFolder,
  damaged,
  type RunFile,
} from '../run-folder.ts'
import {
  NET_TRAINING,
  type CascadeShape,
  openTrainingBackend,
  type TrainingBackend,
  trainCascade,
} from '../net/train-cascade.ts'
import { type Conditions, type ProtocolWeek, PROTOCOLS, type ProtocolName } from './protocols.ts'
import type { OtherScores } from './csv-inputs.ts'
import { pairedDifference, type PairedDifference } from './paired-difference.ts'
import {
  summarize,
  type PeriodSummary,
  type ScoredWeek,
  type AssessedScores,
} from './protocol-figures.ts'
import { scoreOf, type Calibration } from '../../core/scoring/scaling.ts'
import { gathered, valueAt } from '../statistics.ts'

/** Cost of an alert in the share of value saved, as the protocol defines it; units of the reference currency. */
export const PROTOCOL_ALERT_COST = 5

export interface EvaluateOptions {
  readonly protocol: ProtocolName
  /** Days by period, in the form that the protocol uses; the published days unless given. */
  readonly weeks?: Readonly<Record<string, readonly string[]>>
  readonly conditions: Conditions
  /** Seeds 1 to this number. */
  readonly seeds: number
  /** The protocol's number unless given. */
  readonly epochs?: number
  readonly alertCost: number
  readonly backend: TrainingBackend
  readonly rates: RateTable
  /** Sizes of the nets; those of the protocol unless given. */
  readonly shape?: CascadeShape
  /** Storage for the scores of each week and seed; nothing is stored unless given. */
  readonly run?: RunChoice
  /** Kinds of fraud in a span of time, for the analysis of errors; asked after everything is scored. */
  readonly scenarios: (span: {
    readonly fromMs: number
    readonly endMs: number
  }) => Promise<ReadonlyMap<string, string> | null>
  /** Scores of another model to compare with; none unless given. */
  readonly against?: OtherScores
  readonly onProgress: (line: string) => void
}

export interface EvaluateSummary {
  readonly protocol: ProtocolName
  readonly conditions: Conditions
  readonly seeds: number
  readonly epochs: number
  /** Cost of an alert in the share of value saved. */
  readonly alertCost: number
  readonly backend: string
  readonly dataDigest: string
  readonly periods: readonly PeriodSummary[]
  /** Difference of the reported scores from those of the other model, by period; null without one. */
  readonly differences: Readonly<Record<string, PairedDifference>> | null
}

/** The tables, and the scores behind them. */
export interface Evaluation {
  readonly summary: EvaluateSummary
  readonly weeks: readonly ScoredWeek[]
}

/** Runs the protocol. @throws SluiceError SLUICE_USAGE, SLUICE_TRAINING_DATA_INVALID, SLUICE_BACKEND_UNAVAILABLE */
export async function evaluateProtocol(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { protocol, conditions, seeds, alertCost, onProgress } = options
  const rules = PROTOCOLS[protocol]
  const periods = options.weeks ?? rules.periods
  const epochs = options.epochs ?? rules.epochs
  const days = Object.values(periods).flat()
  const keepFromMs = rules.keepFromMs(days, conditions)
  if (options.run !== undefined) await checkRunFolder(options.run)
  const backend = await openTrainingBackend(options.backend, onProgress)
  onProgress(`training on ${backend.backend} (${backend.detail})`)
  const dataset = await collectDataset(history, {
    rates: options.rates,
    onProgress,
    keepFromMs,
  })
  const shape = options.shape ?? rules.shape
  const run =
    options.run === undefined
      ? null
      : await openRunFolder(options.run, {
          history: dataset.digest,
          features: FEATURE_LIST_HASH,
          protocol,
          conditions,
          backend: `${backend.backend}, TensorFlow.js ${backend.tf.version_core}`,
          epochs,
          shape,
          training: NET_TRAINING,
        })
  const weeks = await scoreAll(backend, dataset, periods, run, { ...options, shape, epochs })
  const scenarios = await options.scenarios(rules.spanOf(days))
  const summary: EvaluateSummary = {
    protocol,
    conditions,
    seeds,
    epochs,
    alertCost,
    backend: backend.backend,
    dataDigest: dataset.digest,
    periods: summarize(weeks, alertCost, scenarios),
    differences: options.against === undefined ? null : differencesOf(weeks, options.against),
  }
  if (options.run?.keep === false) await run?.remove()
  return { summary, weeks }
}

/** All weeks with one seed, then with the next, so that a run that ends early has complete seeds. */
async function scoreAll(
  backend: OpenBackend,
  dataset: Dataset,
  periods: Readonly<Record<string, readonly string[]>>,
  run: RunFolder | null,
  options: EvaluateOptions & { readonly shape: CascadeShape; readonly epochs: number },
): Promise<readonly ScoredWeek[]> {
  const { protocol, conditions, seeds, onProgress } = options
  const weeks = Object.entries(periods).flatMap(([period, starts]) =>
    starts.map((trainStart) => ({
      period,
      week: PROTOCOLS[protocol].rowsOf(dataset, trainStart, conditions),
      bySeed: [] as NetScores[],
    })),
  )
  for (let seed = 1; seed <= seeds; seed += 1) {
    for (const { week, bySeed } of weeks) {
      const file = run?.file(`week-${week.trainStart}-seed-${seed}.csv`) ?? null
      const scores = await scoreWeek(backend, dataset, week, file, { ...options, seed })
      bySeed.push(scores)
      const precisionOf = (of: Float64Array): string =>
        averagePrecision(assessedScores(dataset, week, of)).toFixed(4)
      onProgress(
        `week ${week.trainStart}, seed ${seed}: average precision ${precisionOf(scores.target)} ` +
          `(draft ${precisionOf(scores.draft)})`,
      )
    }
  }
  return weeks.map(({ period, week, bySeed }) => scoredWeek(dataset, period, week, bySeed))
}

function differencesOf(
  weeks: readonly ScoredWeek[],
  against: OtherScores,
): Readonly<Record<string, PairedDifference>> {
  const entries = [...new Set(weeks.map(({ period }) => period))].map((period) => {
    const rows = weeks
      .filter((week) => week.period === period)
      .map(({ trainStart, ids, scored }) => ({
        ...scored,
        others: Float64Array.from(ids, (id) => against.scoreOf(trainStart, id)),
      }))
    return [period, pairedDifference(rows)] as const
  })
  return Object.fromEntries(entries)
}

function scoredWeek(
  dataset: Dataset,
  period: string,
  week: ProtocolWeek,
  bySeed: readonly NetScores[],
): ScoredWeek {
  const mean = new Float64Array(week.assessed.length)
  for (const { target } of bySeed) {
    for (const [row, score] of target.entries()) mean[row] = valueAt(mean, row) + score
  }
  return {
    period,
    trainStart: week.trainStart,
    ids: idsOf(dataset, week),
    target: bySeed.map(({ target }) => assessedScores(dataset, week, target)),
    draft: bySeed.map(({ draft }) => assessedScores(dataset, week, draft)),
    scored: assessedScores(
      dataset,
      week,
      mean.map((sum) => sum / Math.max(1, bySeed.length)),
    ),
  }
}

/** Frauds weigh as much as genuine rows in training, so the outputs are probabilities without calibration. */
const IDENTITY: Calibration = { kind: 'identity', slope: 1, intercept: 0 }

const HEADER = 'transaction_id,draft,target'

export interface WeekOptions {
  readonly seed: number
  readonly epochs: number
  readonly shape: CascadeShape
  readonly onProgress: (line: string) => void
}

/** Scores of the assessed rows of one week, by net. */
export interface NetScores {
  readonly draft: Float64Array
  readonly target: Float64Array
}

/**
 * Returns the stored scores, or trains, scores and stores them.
 * @throws SluiceError SLUICE_USAGE when the file is damaged.
 */
export async function scoreWeek(
  backend: OpenBackend,
  dataset: Dataset,
  week: ProtocolWeek,
  file: RunFile | null,
  options: WeekOptions,
): Promise<NetScores> {
  const ids = idsOf(dataset, week)
  const bytes = (await file?.read()) ?? null
  if (file !== null && bytes !== null) {
    const stored = parseScores(bytes.toString('utf8'), ids)
    if (stored === null) throw damaged(file.path)
    return stored
  }
  const scores = await trainWeek(backend, dataset, week, options)
  await file?.write(Buffer.from(scoresText(ids, scores)))
  return scores
}

async function trainWeek(
  backend: OpenBackend,
  dataset: Dataset,
  { trainStart, train, assessed }: ProtocolWeek,
  { seed, epochs, shape, onProgress }: WeekOptions,
): Promise<NetScores> {
  const cascade = await trainCascade(backend, dataset, train, null, {
    seed,
    shape,
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

/** Ids of the assessed rows, in order. */
export function idsOf(
  dataset: Pick<Dataset, 'ids'>,
  { assessed }: ProtocolWeek,
): readonly string[] {
  return Array.from(assessed, (row) => dataset.ids[row] ?? '')
}

/** Input of the figures. */
export function assessedScores(
  dataset: Pick<Dataset, 'truth' | 'cards' | 'eventTimesMs' | 'amountsMinor'>,
  { assessed }: ProtocolWeek,
  scores: Float64Array,
): AssessedScores {
  const rows = Array.from(assessed)
  return {
    scores,
    truth: gathered(dataset.truth, rows),
    cards: rows.map((row) => valueAt(dataset.cards, row)),
    eventTimesMs: rows.map((row) => valueAt(dataset.eventTimesMs, row)),
    amounts: rows.map((row) => valueAt(dataset.amountsMinor, row) / 100),
  }
}

/** One line per row; numbers are written so that the same bits are read back. */
export function scoresText(ids: readonly string[], { draft, target }: NetScores): string {
  const lines = ids.map((id, row) => `${id},${String(draft[row])},${String(target[row])}\n`)
  return `${HEADER}\n${lines.join('')}`
}

/** Reads the text of `scoresText`; null when it is incomplete, or belongs to other rows. */
export function parseScores(text: string, ids: readonly string[]): NetScores | null {
  const [header, ...lines] = text.split('\n')
  if (header !== HEADER || lines.pop() !== '' || lines.length !== ids.length) return null
  const draft = new Float64Array(ids.length)
  const target = new Float64Array(ids.length)
  for (const [row, line] of lines.entries()) {
    const [id, ofDraft = '', ofTarget = '', ...others] = line.split(',')
    draft[row] = ofDraft === '' ? NaN : Number(ofDraft)
    target[row] = ofTarget === '' ? NaN : Number(ofTarget)
    const isWhole = id === ids[row] && others.length === 0
    if (!isWhole || !Number.isFinite(draft[row]) || !Number.isFinite(target[row])) return null
  }
  return { draft, target }
}
