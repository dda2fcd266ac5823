// Splits a dataset into training, validation and test by event time, oldest first. The gaps between the periods are
// as long as labels take to arrive, because the newest frauds are still unknown when a model is trained.

import { SluiceError } from '../../core/errors.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'
import type { DataPeriod } from '../../core/scoring/manifest.ts'
import type { Dataset } from './dataset.ts'
import { valueAt } from '../statistics.ts'

/** Frauds that each period needs for a meaningful figure. */
export const PERIOD_FRAUDS_MIN = 20

/** Transactions that training needs: with fewer, a net has no batch to learn from. */
export const TRAIN_TRANSACTIONS_MIN = 1_024

export interface SplitOptions {
  /** Left out at the beginning, where the windows are not filled yet. */
  readonly warmUpMs: number
  /** Left out between the periods. */
  readonly gapMs: number
  /** Shares of the remaining time; the rest is for training. */
  readonly validationShare: number
  readonly testShare: number
}

/** A period of a dataset: the indices of its rows, in order of event time. */
export interface DatasetPeriod extends DataPeriod {
  readonly indices: Uint32Array
}

export interface Split {
  readonly train: DatasetPeriod
  readonly validation: DatasetPeriod
  readonly test: DatasetPeriod
}

/** The part of a dataset that determines the split. */
export type SplitInput = Pick<Dataset, 'rowCount' | 'eventTimesMs' | 'truth'>

/**
 * Splits by time.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID with numbers, when a period cannot be used for training.
 */
export function splitByTime(dataset: SplitInput, options: SplitOptions): Split {
  let firstMs = Infinity
  let lastMs = -Infinity
  for (const timeMs of dataset.eventTimesMs) {
    firstMs = Math.min(firstMs, timeMs)
    lastMs = Math.max(lastMs, timeMs)
  }
  const fromMs = firstMs + options.warmUpMs
  const endMs = lastMs + 1
  const usableMs = endMs - fromMs - 2 * options.gapMs
  if (!(usableMs > 0)) {
    throw invalid(
      `The history spans ${days(Math.max(0, endMs - firstMs))} days with ${dataset.rowCount} transactions, ` +
        `but warm-up and gaps alone take ${days(options.warmUpMs + 2 * options.gapMs)}. Give a longer ` +
        'history, or shorten --warm-up and --gap.',
    )
  }
  const trainEndMs = Math.floor(
    fromMs + usableMs * (1 - options.validationShare - options.testShare),
  )
  const validationFromMs = trainEndMs + options.gapMs
  const validationEndMs = Math.floor(validationFromMs + usableMs * options.validationShare)
  const split: Split = {
    train: periodOf(dataset, fromMs, trainEndMs),
    validation: periodOf(dataset, validationFromMs, validationEndMs),
    test: periodOf(dataset, validationEndMs + options.gapMs, endMs),
  }
  checkClasses(split)
  return split
}

function periodOf(dataset: SplitInput, fromMs: number, endMs: number): DatasetPeriod {
  const { eventTimesMs, truth } = dataset
  const indices: number[] = []
  let frauds = 0
  for (let row = 0; row < dataset.rowCount; row += 1) {
    const timeMs = valueAt(eventTimesMs, row)
    if (timeMs < fromMs || timeMs >= endMs) continue
    indices.push(row)
    frauds += valueAt(truth, row)
  }
  return {
    fromMs,
    endMs,
    transactions: indices.length,
    frauds,
    indices: Uint32Array.from(indices),
  }
}

function checkClasses(split: Split): void {
  const entries = Object.entries(split) as [string, DatasetPeriod][]
  const found = entries
    .map(([name, { transactions, frauds }]) => `${name} ${frauds} of ${transactions}`)
    .join(', ')
  if (entries.every(([, { frauds }]) => frauds === 0)) {
    throw invalid(
      `No transaction is labelled as fraud (${found}), so there is nothing to learn. Give a history with labels.`,
    )
  }
  if (entries.every(([, { transactions, frauds }]) => frauds === transactions)) {
    throw invalid(
      `Every transaction is labelled as fraud (${found}), so there is nothing to learn. Give the genuine ones too.`,
    )
  }
  const isPoor = entries.some(
    ([, { transactions, frauds }]) =>
      frauds < PERIOD_FRAUDS_MIN || transactions - frauds < PERIOD_FRAUDS_MIN,
  )
  if (isPoor) {
    throw invalid(
      `Each period needs at least ${PERIOD_FRAUDS_MIN} frauds and as many genuine transactions; frauds found: ` +
        `${found}. Give a longer history, or one with more labels.`,
    )
  }
  if (split.train.transactions < TRAIN_TRANSACTIONS_MIN) {
    throw invalid(
      `Training needs at least ${TRAIN_TRANSACTIONS_MIN} transactions; frauds found: ${found}. Give a longer history.`,
    )
  }
}

function invalid(message: string): SluiceError {
  return new SluiceError('SLUICE_TRAINING_DATA_INVALID', message)
}

function days(ms: number): string {
  return (ms / DAY_MS).toFixed(1)
}
