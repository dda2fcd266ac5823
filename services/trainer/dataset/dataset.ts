// Turns a history of transactions and labels into rows of features with their ground truth, in event-time order.
// Unusable events are left out and counted by reason; the counts are printed and stored with the model.

import { createHash } from 'node:crypto'
import type { RateTable } from '../../core/rates/rate-table.ts'
import { SluiceError } from '../../core/errors.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../core/features/engine/history-fold.ts'
import type { Label, Transaction } from '../../core/transaction.ts'
import { quantileOf, valueAt } from '../statistics.ts'

/** One event of a history, ordered by event time (transactions) and known-at time (labels), oldest first. */
export type HistoryEvent =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

/** Most rows that fit in memory: 4 million rows take 4.2 GB. */
export const DATASET_ROWS_MAX = 4_000_000

const ROWS_AT_FIRST = 65_536

/** Interval of progress reports, in transactions. */
const PROGRESS_EVERY = 100_000

/** Feature rows and ground truth. A transaction is a fraud when its latest label is. */
export interface Dataset {
  readonly rowCount: number
  /** `rowCount` x FEATURE_COUNT raw values; NaN is absent. */
  readonly rows: Float64Array
  /** `rowCount` x SEQUENCE_LENGTH: the earlier payments of the card (see writeSequence). */
  readonly sequences: Float64Array
  /** Minor units of the reference currency. */
  readonly amountsMinor: Float64Array
  readonly ids: readonly string[]
  readonly eventTimesMs: Float64Array
  /** Number of each row's card, in order of first appearance. */
  readonly cards: Uint32Array
  /** 1 for fraud, else 0. */
  readonly truth: Uint8Array
  readonly facts: HistoryFacts
  /** SHA-256 over rows, times and truth. */
  readonly digest: string
}

export interface DatasetOptions {
  readonly rates: RateTable
  readonly onProgress: (line: string) => void
  /** Earlier transactions count as history but become no rows; by default every transaction becomes a row. */
  readonly keepFromMs?: number
  /** Number of messages or rows that the source could not read, asked after the last event; none by default. */
  readonly unreadable?: () => number
}

/**
 * Turns a history into rows. Unusable events are left out and counted by reason.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when there are more rows than fit.
 */
export async function collectDataset(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  { rates, onProgress, keepFromMs = -Infinity, unreadable = () => 0 }: DatasetOptions,
): Promise<Dataset> {
  const skipped = noSkips()
  const fold = new HistoryFold({ rates })
  const table = new RowTable()
  const groundTruth = new GroundTruth((reason) => {
    skipped[reason] += 1
  })
  let labelCount = 0
  let read = 0
  for await (const event of history) {
    if (event.kind === 'label') {
      labelCount += 1
      if (groundTruth.addLabel(event.label)) fold.label(event.label)
      continue
    }
    const { transaction } = event
    const reason = unusable(transaction, rates)
    if (reason !== null) {
      skipped[reason] += 1
      continue
    }
    table.reserve()
    fold.sequence(transaction, table.sequences, table.rowCount * SEQUENCE_LENGTH)
    const folded = fold.transaction(transaction, table.rows, table.rowCount * FEATURE_COUNT)
    if (folded.duplicateOfOffset !== null) {
      skipped.transaction_repeated += 1
      continue
    }
    read += 1
    if (read % PROGRESS_EVERY === 0) {
      onProgress(`${read} transactions, ${labelCount} labels read`)
    }
    if (transaction.eventTimeMs < keepFromMs) continue
    if (!table.isLastRowUsable()) {
      skipped.feature_not_finite += 1
      continue
    }
    const { id, card, eventTimeMs } = transaction
    groundTruth.addRow(id, { row: table.rowCount, card, eventTimeMs })
    table.add(transaction, folded.amountMinor)
  }
  skipped.unreadable = unreadable()
  return table.finish(groundTruth, labelCount, skipped)
}

function unusable(
  { amountMinor, eventTimeMs, currency }: Transaction,
  rates: RateTable,
): 'transaction_not_finite' | 'transaction_without_rate' | null {
  if (!Number.isSafeInteger(amountMinor) || !Number.isSafeInteger(eventTimeMs)) {
    return 'transaction_not_finite'
  }
  const isConvertible = rates.toReferenceMinor(1, currency, eventTimeMs) !== null
  return isConvertible ? null : 'transaction_without_rate'
}

/** Arrays that double in size as rows arrive. */
class RowTable {
  rowCount = 0
  rows = new Float64Array(ROWS_AT_FIRST * FEATURE_COUNT)
  sequences = new Float64Array(ROWS_AT_FIRST * SEQUENCE_LENGTH)
  amountsMinor = new Float64Array(ROWS_AT_FIRST)
  readonly ids: string[] = []
  truth = new Uint8Array(ROWS_AT_FIRST)
  #eventTimesMs = new Float64Array(ROWS_AT_FIRST)
  #cards = new Uint32Array(ROWS_AT_FIRST)
  readonly #cardNumbers = new Map<string, number>()

  /** Makes room for one more row. */
  reserve(): void {
    if (this.rowCount < this.truth.length) return
    if (this.rowCount >= DATASET_ROWS_MAX) {
      throw new SluiceError(
        'SLUICE_TRAINING_DATA_INVALID',
        `The history holds more than ${DATASET_ROWS_MAX} transactions; give a shorter period.`,
      )
    }
    const capacity = Math.min(DATASET_ROWS_MAX, this.truth.length * 2)
    this.rows = enlarged(this.rows, new Float64Array(capacity * FEATURE_COUNT))
    this.sequences = enlarged(this.sequences, new Float64Array(capacity * SEQUENCE_LENGTH))
    this.amountsMinor = enlarged(this.amountsMinor, new Float64Array(capacity))
    this.truth = enlarged(this.truth, new Uint8Array(capacity))
    this.#eventTimesMs = enlarged(this.#eventTimesMs, new Float64Array(capacity))
    this.#cards = enlarged(this.#cards, new Uint32Array(capacity))
  }

  /** False when the row just written holds an infinite value, which no net accepts. */
  isLastRowUsable(): boolean {
    const from = this.rowCount * FEATURE_COUNT
    for (let at = from; at < from + FEATURE_COUNT; at += 1) {
      const value = valueAt(this.rows, at)
      if (value === Infinity || value === -Infinity) return false
    }
    return true
  }

  add({ id, card, eventTimeMs }: Transaction, amountMinor: number): void {
    let number = this.#cardNumbers.get(card)
    if (number === undefined) {
      number = this.#cardNumbers.size
      this.#cardNumbers.set(card, number)
    }
    this.#eventTimesMs[this.rowCount] = eventTimeMs
    this.#cards[this.rowCount] = number
    this.amountsMinor[this.rowCount] = amountMinor
    this.ids.push(id)
    this.rowCount += 1
  }

  finish(groundTruth: GroundTruth, labelCount: number, skipped: SkipCounts): Dataset {
    const { rowCount } = this
    const rows = this.rows.subarray(0, rowCount * FEATURE_COUNT)
    const sequences = this.sequences.subarray(0, rowCount * SEQUENCE_LENGTH)
    const amountsMinor = this.amountsMinor.subarray(0, rowCount)
    const eventTimesMs = this.#eventTimesMs.subarray(0, rowCount)
    const truth = this.truth.subarray(0, rowCount)
    const delaysMs = groundTruth.finish(truth)
    let frauds = 0
    let firstMs = Infinity
    let lastMs = -Infinity
    for (const [row, timeMs] of eventTimesMs.entries()) {
      frauds += valueAt(truth, row)
      firstMs = Math.min(firstMs, timeMs)
      lastMs = Math.max(lastMs, timeMs)
    }
    const hash = createHash('sha256')
    for (const part of [rows, sequences, amountsMinor, eventTimesMs, truth]) hash.update(part)
    const facts: HistoryFacts = {
      firstMs,
      lastMs,
      transactions: rowCount,
      cards: this.#cardNumbers.size,
      frauds,
      labels: labelCount,
      correctedLabels: groundTruth.correctedLabels,
      labelDelay: delaysOf(delaysMs),
      skipped: { ...skipped },
    }
    const cards = this.#cards.subarray(0, rowCount)
    return {
      rowCount,
      rows,
      sequences,
      amountsMinor,
      ids: this.ids,
      eventTimesMs,
      cards,
      truth,
      facts,
      digest: hash.digest('hex'),
    }
  }
}

function enlarged<Values extends Float64Array | Uint8Array | Uint32Array>(
  from: Values,
  to: Values,
): Values {
  to.set(from)
  return to
}

/** Reason why an event of a history is not used in training. The list is closed: it is stored with every model. */
export const SKIP_REASONS = [
  'transaction_repeated',
  'transaction_without_rate',
  'transaction_not_finite',
  'feature_not_finite',
  'label_of_unknown_transaction',
  'label_of_other_card_or_time',
  'label_not_finite',
  'label_without_verdict',
  'label_clashes',
  'unreadable',
] as const
export type SkipReason = (typeof SKIP_REASONS)[number]

export type SkipCounts = Readonly<Record<SkipReason, number>>

/** Delay between a transaction and the moment its label became known, in milliseconds. */
export interface LabelDelays {
  readonly medianMs: number
  readonly p90Ms: number
  readonly maxMs: number
}

export interface HistoryFacts {
  /** Event times of the first and the last transaction. */
  readonly firstMs: number
  readonly lastMs: number
  readonly transactions: number
  readonly cards: number
  readonly frauds: number
  readonly labels: number
  /** Labels whose verdict a later label replaced. */
  readonly correctedLabels: number
  /** Null without labels. */
  readonly labelDelay: LabelDelays | null
  readonly skipped: SkipCounts
}

/** A count of 0 for every reason. */
export function noSkips(): Record<SkipReason, number> {
  return Object.fromEntries(SKIP_REASONS.map((reason) => [reason, 0])) as Record<SkipReason, number>
}

/** Quantiles of the delays; null when there are none. */
export function delaysOf(delaysMs: Float64Array): LabelDelays | null {
  if (delaysMs.length === 0) return null
  const sorted = delaysMs.toSorted()
  return {
    medianMs: quantileOf(sorted, 0.5),
    p90Ms: quantileOf(sorted, 0.9),
    maxMs: quantileOf(sorted, 1),
  }
}

/** One sentence for people; null when nothing was left out. */
export function skipText(skipped: SkipCounts): string | null {
  const parts = SKIP_REASONS.filter((reason) => skipped[reason] > 0).map(
    (reason) => `${skipped[reason]} ${reason}`,
  )
  return parts.length === 0 ? null : `left out: ${parts.join(', ')}`
}

/** The row that a label refers to, with the fields that the label must match. */
export interface KnownRow {
  readonly row: number
  readonly card: string
  readonly eventTimeMs: number
}

interface LatestLabel {
  readonly knownAtMs: number
  readonly verdict: Label['verdict']
}

/**
 * Collects labels in the order of the history; a label may come before its transaction. The latest label of a
 * transaction decides. Labels that cannot be used are counted by reason.
 */
export class GroundTruth {
  readonly #skip: (reason: SkipReason) => void
  readonly #rows = new Map<string, KnownRow>()
  /** Labels that came before their transaction, by its id; at most as many as the history has. */
  readonly #waiting = new Map<string, Label[]>()
  readonly #latestLabels = new Map<number, LatestLabel>()
  readonly #delaysMs: number[] = []
  #correctedLabels = 0

  constructor(skip: (reason: SkipReason) => void) {
    this.#skip = skip
  }

  /** Labels whose verdict a later label replaced. */
  get correctedLabels(): number {
    return this.#correctedLabels
  }

  /** Adds a row that labels may refer to. */
  addRow(id: string, known: KnownRow): void {
    this.#rows.set(id, known)
    for (const label of this.#waiting.get(id) ?? []) this.#apply(known, label)
    this.#waiting.delete(id)
  }

  /** False when the label holds invalid numbers and must not be used at all. */
  addLabel(label: Label): boolean {
    if (!Number.isSafeInteger(label.knownAtMs) || !Number.isSafeInteger(label.eventTimeMs)) {
      this.#skip('label_not_finite')
      return false
    }
    this.#delaysMs.push(label.knownAtMs - label.eventTimeMs)
    const known = this.#rows.get(label.transactionId)
    if (known !== undefined) this.#apply(known, label)
    else {
      const waiting = this.#waiting.get(label.transactionId)
      if (waiting === undefined) this.#waiting.set(label.transactionId, [label])
      else waiting.push(label)
    }
    return true
  }

  /** Counts labels whose transaction never came, marks the frauds in `truth` and returns the delays. */
  finish(truth: Uint8Array): Float64Array {
    for (const labels of this.#waiting.values()) {
      for (let count = 0; count < labels.length; count += 1) {
        this.#skip('label_of_unknown_transaction')
      }
    }
    for (const [row, { verdict }] of this.#latestLabels) truth[row] = verdict === 'fraud' ? 1 : 0
    return Float64Array.from(this.#delaysMs)
  }

  #apply({ row, card, eventTimeMs }: KnownRow, label: Label): void {
    if (label.card !== card || label.eventTimeMs !== eventTimeMs) {
      this.#skip('label_of_other_card_or_time')
      return
    }
    if (label.verdict === 'unknown') {
      this.#skip('label_without_verdict')
      return
    }
    const before = this.#latestLabels.get(row)
    if (before !== undefined && before.verdict !== label.verdict) {
      // Of two labels of the same moment the later one in the history wins, as for features, and the other is left out.
      if (before.knownAtMs === label.knownAtMs) this.#skip('label_clashes')
      else this.#correctedLabels += 1
    }
    this.#latestLabels.set(row, label)
  }
}
