// The parts of the isolation study. Each prints a table in Markdown, with the lines of a scorer as soon as they are
// known.

import type { OpenBackend } from '../../services/platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from '../../services/trainer/dataset/dataset.ts'
import { scoreFigures } from '../../services/trainer/metrics.ts'
import { rankedRows, spreadOf } from '../../services/trainer/statistics.ts'
import { pairedDifference } from '../../services/trainer/protocol/paired-difference.ts'
import { alertedRows } from '../../services/trainer/protocol/protocol-figures.ts'
import {
  FEATURE_SETS,
  weekForest,
  weekTables,
  type FeatureSet,
  type StudyWeek,
} from './isolation-data.ts'
import { isolationScores } from './isolation-forest.ts'
import { draftScores, type MoreScores } from './isolation-nets.ts'
import { fitLogistic, logitOf } from './isolation-second-stage.ts'

const SEED = 1
const FOREST_SEEDS = [1, 2, 3] as const
/** Input to the nets: the score from the card's own behaviour, since it needs no label. */
const NET_SET: FeatureSet = "card's own"
const SETS = Object.keys(FEATURE_SETS) as FeatureSet[]
const KINDS = ['1', '2', '3'] as const

/** Shares of the alerts that a forest may have alongside a model. */
const FOREST_SHARES = [
  [0.5, 'half each'],
  [0.1, 'a tenth by the forest'],
] as const

/** Smallest distance of a score from 0 and 1 in a logit. */
const EDGE = 1e-9

export type Print = (line: string) => void

/** Frauds that a forest finds alone, on each set of features. */
export function forestAlone(dataset: Dataset, weeks: readonly StudyWeek[], print: Print): void {
  print(headLine(['features', 'training week', ...FIGURES]))
  for (const set of SETS) {
    const bySeed = weeks.map((week) => {
      const tables = weekTables(dataset, week, set)
      return FOREST_SEEDS.map((seed) => isolationScores(weekForest(tables, seed), tables.assessed))
    })
    const ofSeed = (at: number): readonly Float64Array[] =>
      bySeed.map((scores) => scores[at] ?? new Float64Array())
    printWeeks(set, weeks, ofSeed(0), print)
    const precisions = FOREST_SEEDS.map((_, at) =>
      spreadOf(weeks.map((week, of) => ranksOf(week, ofSeed(at)[of] ?? null)[0])),
    ).map(({ mean }) => rounded(mean))
    print(`${set}, seeds ${FOREST_SEEDS.join(', ')}: average precision ${precisions.join(', ')}`)
  }
}

/** A logistic regression over the model's logit and the forest's score, fitted on the other weeks. */
export function secondStage(
  dataset: Dataset,
  weeks: readonly StudyWeek[],
  scores: readonly Float64Array[],
  print: Print,
): void {
  print(headLine(['second stage on', 'training week', ...FIGURES]))
  printWeeks('model alone', weeks, scores, print)
  for (const set of SETS) {
    const inputs = weeks.map((week, at) => {
      const forest = forestScores(dataset, week, set, false).assessed
      return Array.from(scores[at] ?? [], (score, row) => [
        Math.log(Math.max(EDGE, score) / Math.max(EDGE, 1 - score)),
        forest[row] ?? 0,
      ])
    })
    const staged = weeks.map((_, left) => {
      const others = weeks.flatMap((week, at) => (at === left ? [] : [{ week, rows: inputs[at] }]))
      const weights = fitLogistic(
        others.flatMap(({ rows = [] }) => rows),
        Uint8Array.from(others.flatMap(({ week }) => Array.from(week.truth))),
      )
      return Float64Array.from(inputs[left] ?? [], (row) => logitOf(weights, row))
    })
    printWeeks(`model and forest, ${set}`, weeks, staged, print)
    print(differenceLine(weeks, staged, scores))
  }
}

/** The trainer's draft with and without the forest's score as one more input; then the second stage on it. */
export async function oneMoreInput(
  backend: OpenBackend,
  dataset: Dataset,
  weeks: readonly StudyWeek[],
  print: Print,
): Promise<void> {
  print(headLine(['draft on', 'training week', ...FIGURES]))
  const plain = await weekByWeek(weeks, print, 'features', (week) =>
    draftScores(backend, dataset, week, null, SEED),
  )
  const more = await weekByWeek(weeks, print, `features and forest, ${NET_SET}`, (week) =>
    draftScores(backend, dataset, week, forestScores(dataset, week, NET_SET, true), SEED),
  )
  print(differenceLine(weeks, more, plain))
  secondStage(dataset, weeks, plain, print)
}

/** `dataset` hides the labels of one kind; the table shows which scorer finds that kind then. */
export async function neverLabelled(
  backend: OpenBackend,
  dataset: Dataset,
  weeks: readonly StudyWeek[],
  print: Print,
): Promise<void> {
  print(headLine(['alerts by', 'training week', ...FIGURES]))
  const blind = await weekByWeek(weeks, print, 'draft, labels hidden', (week) =>
    draftScores(backend, dataset, week, null, SEED),
  )
  for (const set of SETS) {
    const alone = weeks.map((week) => forestScores(dataset, week, set, false).assessed)
    printWeeks(`forest, ${set}`, weeks, alone, print)
    for (const [share, words] of FOREST_SHARES) {
      const shared = blind.map((scores, at) => ({
        scores: null,
        alerts: sharedAlerts(scores, alone[at] ?? new Float64Array(), share),
      }))
      printAlerts(`${words}, ${set}`, weeks, shared, print)
    }
  }
  await weekByWeek(weeks, print, `draft and forest, ${NET_SET}`, (week) =>
    draftScores(backend, dataset, week, forestScores(dataset, week, NET_SET, true), SEED),
  )
}

/** Alerted rows when `share` of the alerts are the forest's highest that the model does not alert. */
export function sharedAlerts(
  model: Float64Array,
  forest: Float64Array,
  share: number,
): readonly number[] {
  const alerts = alertedRows(model)
  const ofForest = Math.round(share * alerts.length)
  const first = alerts.slice(0, alerts.length - ofForest)
  const taken = new Set(first)
  const others = rankedRows(forest).filter((row) => !taken.has(row))
  return [...first, ...others.slice(0, ofForest)]
}

const FIGURES = [
  'average precision',
  'recall at 0.1 % false positives',
  ...KINDS.map((kind) => `kind ${kind} in 0.5 % alerts`),
  'all frauds in 0.5 % alerts',
] as const

async function weekByWeek(
  weeks: readonly StudyWeek[],
  print: Print,
  name: string,
  scoresOf: (week: StudyWeek) => Promise<Float64Array>,
): Promise<readonly Float64Array[]> {
  const scores: Float64Array[] = []
  for (const week of weeks) scores.push(await scoresOf(week))
  printWeeks(name, weeks, scores, print)
  return scores
}

/** One line per week and one for all: means of the first two figures, sums of the counts. */
function printWeeks(
  name: string,
  weeks: readonly StudyWeek[],
  scores: readonly Float64Array[],
  print: Print,
): void {
  const alerts = scores.map((each) => ({ scores: each, alerts: alertedRows(each) }))
  printAlerts(name, weeks, alerts, print)
}

interface WeekAlerts {
  /** Null when rows have no order besides being alerted. */
  readonly scores: Float64Array | null
  readonly alerts: readonly number[]
}

function printAlerts(
  name: string,
  weeks: readonly StudyWeek[],
  alerts: readonly WeekAlerts[],
  print: Print,
): void {
  const found = weeks.map((week, at) => foundOf(week, alerts[at]?.alerts ?? []))
  const ranks = weeks.map((week, at) => ranksOf(week, alerts[at]?.scores ?? null))
  const inWords = (counts: readonly Count[]): readonly string[] =>
    counts.map(({ alerted, frauds }) => `${alerted} of ${frauds}`)
  for (const [at, { trainStart }] of weeks.entries()) {
    print(
      tableLine([name, trainStart, ...(ranks[at] ?? []).map(rounded), ...inWords(found[at] ?? [])]),
    )
  }
  const means = [0, 1].map((figure) => spreadOf(ranks.map((each) => each[figure] ?? NaN)).mean)
  const sums = [...KINDS, null].map((_, kind) => ({
    alerted: found.reduce((sum, each) => sum + (each[kind]?.alerted ?? 0), 0),
    frauds: found.reduce((sum, each) => sum + (each[kind]?.frauds ?? 0), 0),
  }))
  print(tableLine([name, 'all', ...means.map(rounded), ...inWords(sums)]))
}

interface Count {
  readonly alerted: number
  readonly frauds: number
}

/** By kind, then of all frauds. */
function foundOf({ truth, kinds }: StudyWeek, alerts: readonly number[]): readonly Count[] {
  const alerted = new Set(alerts)
  const frauds = Array.from(truth.keys()).filter((row) => truth[row] === 1)
  return [...KINDS, null].map((kind) => {
    const rows = kind === null ? frauds : frauds.filter((row) => kinds[row] === kind)
    return { alerted: rows.filter((row) => alerted.has(row)).length, frauds: rows.length }
  })
}

/** Average precision, and recall at 0.1 % false positives. */
function ranksOf({ truth }: StudyWeek, scores: Float64Array | null): readonly [number, number] {
  if (scores === null) return [NaN, NaN]
  const { averagePrecision, recallAtFalsePositives01Percent } = scoreFigures({ scores, truth })
  return [averagePrecision, recallAtFalsePositives01Percent]
}

/** `train` is empty unless a net is to be trained on it. */
function forestScores(
  dataset: Dataset,
  week: StudyWeek,
  set: FeatureSet,
  isForNet: boolean,
): MoreScores {
  const tables = weekTables(dataset, week, set)
  const forest = weekForest(tables, SEED)
  return {
    train: isForNet ? isolationScores(forest, tables.train) : new Float64Array(),
    assessed: isolationScores(forest, tables.assessed),
  }
}

function differenceLine(
  weeks: readonly StudyWeek[],
  scores: readonly Float64Array[],
  others: readonly Float64Array[],
): string {
  const { low, median, high, draws } = pairedDifference(
    weeks.map(({ truth, cards }, at) => ({
      ...{ truth, cards },
      scores: scores[at] ?? new Float64Array(),
      others: others[at] ?? new Float64Array(),
    })),
  )
  const [from, middle, to] = [low, median, high].map(rounded)
  return `average precision less that without: ${middle}, 95 % interval ${from} to ${to} (${draws} draws of cards, paired)`
}

function headLine(cells: readonly string[]): string {
  return `\n${tableLine(cells)}\n${tableLine(cells.map(() => '---'))}`
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function rounded(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(4)
}
