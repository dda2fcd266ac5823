// From a history of transactions and labels to rows of features with their truth, in order of event time.

import { createHash } from 'node:crypto'
import type { RateTable } from '../core/currency.ts'
import { SluiceError } from '../core/errors.ts'
import { SEQUENCE_LENGTH } from '../core/features/card-sequence.ts'
import { FEATURE_COUNT } from '../core/features/feature-list.ts'
import { HistoryFold } from '../core/features/history-fold.ts'
import type { Label, Transaction } from '../core/transaction.ts'

/** One thing of a history. Merged by event time (transactions) and known-at time (labels), oldest first. */
export type HistoryEvent =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

/** Rows that fit in memory: 4 million are 4.2 GB. */
export const DATASET_ROWS_MAX = 4_000_000

const ROWS_AT_FIRST = 65_536

/** How often progress is told, in transactions. */
const PROGRESS_EVERY = 100_000

/** Feature rows and truth. A transaction is fraud when the last word on it says so. */
export interface Dataset {
  readonly rowCount: number
  /** `rowCount` x FEATURE_COUNT raw values; NaN is absent. */
  readonly rows: Float64Array
  /** `rowCount` x SEQUENCE_LENGTH: the card's payments before (see writeSequence). */
  readonly sequences: Float64Array
  /** Minor units of the reference currency. */
  readonly amountsMinor: Float64Array
  readonly ids: readonly string[]
  readonly cards: readonly string[]
  readonly eventTimesMs: Float64Array
  /** 1 for fraud, else 0. */
  readonly truth: Uint8Array
  readonly labelCount: number
  /** Transactions left out: sent twice, or in a currency without a rate. */
  readonly duplicates: number
  readonly withoutRate: number
  /** SHA-256 over rows, times and truth. */
  readonly digest: string
}

export interface DatasetOptions {
  readonly rates: RateTable
  readonly onProgress: (line: string) => void
  /** Earlier transactions are history of the others and no rows; all are rows unless given. */
  readonly keepFromMs?: number
}

/** @throws SluiceError SLUICE_TRAINING_DATA_INVALID when there are more rows than fit. */
export async function collectDataset(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  { rates, onProgress, keepFromMs = -Infinity }: DatasetOptions,
): Promise<Dataset> {
  const fold = new HistoryFold({ rates })
  const table = new RowTable()
  const rowOfId = new Map<string, number>()
  let labelCount = 0
  let read = 0
  let duplicates = 0
  let withoutRate = 0
  for await (const event of history) {
    if (event.kind === 'label') {
      fold.label(event.label)
      labelCount += 1
      const row = rowOfId.get(event.label.transactionId)
      // Labels come in the order in which they became known, so the last one stands.
      if (row !== undefined) table.truth[row] = event.label.verdict === 'fraud' ? 1 : 0
      continue
    }
    const { transaction } = event
    if (rates.toReferenceMinor(1, transaction.currency, transaction.eventTimeMs) === null) {
      withoutRate += 1
      continue
    }
    table.reserve()
    fold.sequence(transaction, table.sequences, table.rowCount * SEQUENCE_LENGTH)
    const folded = fold.transaction(transaction, table.rows, table.rowCount * FEATURE_COUNT)
    if (folded.duplicateOfOffset !== null) {
      duplicates += 1
      continue
    }
    read += 1
    if (read % PROGRESS_EVERY === 0) {
      onProgress(`${read} transactions, ${labelCount} labels read`)
    }
    if (transaction.eventTimeMs < keepFromMs) continue
    rowOfId.set(transaction.id, table.rowCount)
    table.add(transaction, folded.amountMinor)
  }
  return { ...table.finish(), labelCount, duplicates, withoutRate }
}

/** Arrays that double as rows come. */
class RowTable {
  rowCount = 0
  rows = new Float64Array(ROWS_AT_FIRST * FEATURE_COUNT)
  sequences = new Float64Array(ROWS_AT_FIRST * SEQUENCE_LENGTH)
  amountsMinor = new Float64Array(ROWS_AT_FIRST)
  readonly ids: string[] = []
  readonly cards: string[] = []
  truth = new Uint8Array(ROWS_AT_FIRST)
  #eventTimesMs = new Float64Array(ROWS_AT_FIRST)

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
  }

  add({ id, card, eventTimeMs }: Transaction, amountMinor: number): void {
    this.#eventTimesMs[this.rowCount] = eventTimeMs
    this.amountsMinor[this.rowCount] = amountMinor
    this.ids.push(id)
    this.cards.push(card)
    this.rowCount += 1
  }

  finish(): Omit<Dataset, 'labelCount' | 'duplicates' | 'withoutRate'> {
    const rows = this.rows.subarray(0, this.rowCount * FEATURE_COUNT)
    const eventTimesMs = this.#eventTimesMs.subarray(0, this.rowCount)
    const truth = this.truth.subarray(0, this.rowCount)
    const sequences = this.sequences.subarray(0, this.rowCount * SEQUENCE_LENGTH)
    const amountsMinor = this.amountsMinor.subarray(0, this.rowCount)
    const hash = createHash('sha256')
    for (const part of [rows, sequences, amountsMinor, eventTimesMs, truth]) hash.update(part)
    return {
      rowCount: this.rowCount,
      ...{ rows, sequences, amountsMinor, eventTimesMs, truth },
      ids: this.ids,
      cards: this.cards,
      digest: hash.digest('hex'),
    }
  }
}

function enlarged<Values extends Float64Array | Uint8Array>(from: Values, to: Values): Values {
  to.set(from)
  return to
}
