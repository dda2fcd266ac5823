// Applies the labels and transactions of one micro-batch to the partition's state: labels first, then transactions in
// offset order, each seeing those before it. The scorer turns the result into decisions; a rebuild of state discards
// it.

import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { PartitionState } from '../../core/features/engine/fold-state.ts'
import type { Folded, PartitionFold } from '../../core/features/engine/partition-fold.ts'
import type { MessageHeaders } from '../../core/trace-context.ts'
import type { Label, Transaction } from '../../core/transaction.ts'
import type { Alignment } from '../../core/wire/records.ts'

/** A transaction or watermark, with its position in the log. */
export type PartitionEntry =
  | {
      readonly kind: 'transaction'
      readonly offset: number
      readonly timestampMs: number
      readonly transaction: Transaction
      /** The message as it was sent, kept with the event so that its decision can be recomputed. */
      readonly record?: Uint8Array | null
      /** Headers of the message. They are read only when it becomes an alert or is traced. */
      readonly headers?: MessageHeaders | undefined
    }
  | {
      readonly kind: 'watermark'
      readonly offset: number
      readonly timeMs: number
      readonly headers?: undefined
    }

export type PartitionLabel =
  | { readonly kind: 'label'; readonly offset: number; readonly label: Label }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }

/** One transaction with its features and annotations. */
export interface FoldedEntry {
  readonly offset: number
  readonly timestampMs: number
  readonly transaction: Transaction
  readonly folded: Folded
}

export interface FoldedBatch {
  readonly rows: readonly FoldedEntry[]
  /** FEATURE_COUNT values per row, and as many states. */
  readonly features: Float64Array
  readonly states: Uint8Array
}

/** Messages of one batch. Labels with an offset below `labelNextOffset` are visible to its transactions. */
export interface BatchInput {
  readonly labels: readonly PartitionLabel[]
  readonly entries: readonly PartitionEntry[]
  readonly labelNextOffset: number
}

/**
 * Applies a batch. Without state (null) every transaction is annotated as degraded, and labels are left to the rebuild.
 */
export function foldBatch(
  { labels, entries, labelNextOffset }: BatchInput,
  fold: PartitionFold,
  state: PartitionState | null,
  alignment: Alignment,
): FoldedBatch {
  const isAligned = alignment === 'aligned'
  if (!isAligned) fold.forgetWatermarks()
  for (const entry of labels) {
    if (entry.kind === 'watermark') {
      if (isAligned) fold.applyLabelWatermark(entry.timeMs)
    } else if (state !== null) fold.applyLabel(entry.label, entry.offset, state)
  }
  const transactions = entries.flatMap((entry) =>
    entry.kind === 'transaction' ? [entry.transaction] : [],
  )
  const features = new Float64Array(transactions.length * FEATURE_COUNT)
  const states = new Uint8Array(transactions.length * FEATURE_COUNT)
  if (state !== null) fold.expect(transactions, state)
  const rows: FoldedEntry[] = []
  const out = { row: features, states, position: 0 }
  for (const entry of entries) {
    if (entry.kind === 'watermark') {
      if (isAligned) fold.applyWatermark(entry.timeMs)
      continue
    }
    const { transaction, offset, timestampMs } = entry
    out.position = rows.length * FEATURE_COUNT
    const folded =
      state === null
        ? fold.applyDegraded(transaction, offset, out)
        : fold.applyTransaction(entry, labelNextOffset, state, out)
    rows.push({ offset, timestampMs, transaction, folded })
  }
  return { rows, features, states }
}
