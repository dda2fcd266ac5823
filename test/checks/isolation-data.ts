// Data of the isolation study: rows of our own feature code over the validation weeks, and the scores of a forest
// grown on the unlabelled rows of a training week.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT, FEATURES } from '../../services/core/features/catalogue/feature-list.ts'
import { openReplay } from '../../services/producer/index.ts'
import {
  collectDataset,
  type Dataset,
  type HistoryEvent,
} from '../../services/trainer/dataset/dataset.ts'
import { baselineValues } from '../../services/trainer/fit/fit-inputs.ts'
import {
  assessedEndMs,
  dayStartMs,
  protocolWeek,
  PUBLISHED_WEEKS,
  type ProtocolWeek,
} from '../../services/trainer/protocol/protocols.ts'
import { idsOf } from '../../services/trainer/protocol/evaluate.ts'
import { readScenarios } from '../../services/trainer/protocol/csv-inputs.ts'
import { growForest, SAMPLE_ROWS, type IsolationForest, type Table } from './isolation-forest.ts'

/** Twice the paper's, for less chance in the scores. */
const TREES = 200

const WEEKS = PUBLISHED_WEEKS.validation
const FROM_MS = Math.min(...WEEKS.map(dayStartMs))
const END_MS = Math.max(...WEEKS.map(assessedEndMs))

/** Columns that a forest may see: all features, or the amount and the card's own behaviour. */
export const FEATURE_SETS = {
  'all features': FEATURES.map((_, feature) => feature),
  "card's own": FEATURES.flatMap(({ name, entity }, feature) =>
    name === 'amount' || entity === 'card' ? [feature] : [],
  ),
} as const
export type FeatureSet = keyof typeof FEATURE_SETS

/** Kind of fraud by transaction id, for hiding labels and for the analysis. */
export type Kinds = ReadonlyMap<string, string>

/** @throws SluiceError when the folder cannot be read. */
export async function readKinds(folder: string): Promise<Kinds> {
  const kinds = await readScenarios([folder], { fromMs: -Infinity, endMs: END_MS })
  if (kinds === null) throw new Error(`The files in ${folder} do not tell the kind of a fraud.`)
  return kinds
}

/** Rows from the first training day on, as if no fraud of the hidden kind had ever been labelled. */
export async function readDataset(
  folder: string,
  kinds: Kinds,
  hiddenKind: string | null,
  onProgress: (line: string) => void,
): Promise<Dataset> {
  const history = await openReplay({
    paths: [folder],
    bounds: { fromMs: -Infinity, endMs: END_MS },
  })
  async function* unhidden(): AsyncGenerator<HistoryEvent> {
    for await (const event of history) {
      const isHidden = event.kind === 'label' && kinds.get(event.label.transactionId) === hiddenKind
      if (!isHidden) yield event
    }
  }
  return collectDataset(unhidden(), { rates: DEFAULT_RATES, keepFromMs: FROM_MS, onProgress })
}

/** The same rows with the hidden truth: for assessment, never for training. */
export function withAllLabels(dataset: Dataset, kinds: Kinds): Dataset {
  return { ...dataset, truth: Uint8Array.from(dataset.ids, (id) => (kinds.has(id) ? 1 : 0)) }
}

/** One validation week, assessed by the rules of the protocol. */
export interface StudyWeek extends ProtocolWeek {
  readonly truth: Uint8Array
  readonly cards: readonly number[]
  readonly ids: readonly string[]
  /** By row, for frauds only. */
  readonly kinds: readonly (string | undefined)[]
}

/** `dataset` must hold all labels. */
export function weeksOf(dataset: Dataset, kinds: Kinds): readonly StudyWeek[] {
  return WEEKS.map((trainStart) => {
    const week = protocolWeek(dataset, trainStart, 'published')
    const ids = idsOf(dataset, week)
    return {
      ...week,
      ids,
      truth: Uint8Array.from(week.assessed, (row) => dataset.truth[row] ?? 0),
      cards: Array.from(week.assessed, (row) => dataset.cards[row] ?? 0),
      kinds: ids.map((id) => kinds.get(id)),
    }
  })
}

/** Rows that a forest is grown from, and rows that it then scores. */
export interface WeekTables {
  readonly train: Table
  readonly assessed: Table
}

/**
 * The features of a set over both parts of a week. An absent value becomes the training rows' median, so it carries no
 * information.
 */
export function weekTables(
  { rows }: Pick<Dataset, 'rows'>,
  { train, assessed }: ProtocolWeek,
  set: FeatureSet,
): WeekTables {
  const baseline = baselineValues(rows, train)
  const columns = FEATURE_SETS[set]
  const tableOf = (indices: Uint32Array): Table => {
    const values = new Float64Array(indices.length * columns.length)
    for (const [position, row] of indices.entries()) {
      for (const [at, feature] of columns.entries()) {
        const value = rows[row * FEATURE_COUNT + feature] ?? NaN
        values[position * columns.length + at] = Number.isNaN(value)
          ? (baseline[feature] ?? 0)
          : value
      }
    }
    return { values, columnCount: columns.length }
  }
  return { train: tableOf(train), assessed: tableOf(assessed) }
}

/** Grows on the training week, which needs no labels. */
export function weekForest({ train }: WeekTables, seed: number): IsolationForest {
  return growForest(train, { seed, trees: TREES, sampleRows: SAMPLE_ROWS })
}
