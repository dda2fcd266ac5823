// Input of a replay: messages of the log as the scorer read them, and decision batches as it wrote them.

import type { Label, Transaction } from '../../transaction.ts'
import type {
  Alignment,
  FrontierEntry,
  DecisionBatch,
  DecisionRecord,
  Mode,
} from '../../wire/records.ts'
import { STATE } from '../engine/feature-states.ts'

/** A message of the transactions topic. `rejected`: it became a dead letter, by the scorer's own rules. */
export type ReplayEntry =
  | {
      readonly kind: 'transaction'
      readonly offset: number
      readonly transaction: Transaction
      /** The message as it was sent. */
      readonly record: Uint8Array | null
      /** False when the newest table has no rate for it; true unless given. */
      readonly hasRate?: boolean
    }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }
  | { readonly kind: 'rejected'; readonly offset: number }

/** A message of the labels topic. */
export type ReplayLabel =
  | { readonly kind: 'label'; readonly offset: number; readonly label: Label }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }
  | { readonly kind: 'rejected'; readonly offset: number }

/** One decision with its input row. */
export interface RecordedRow {
  readonly decision: DecisionRecord
  readonly values: Float64Array
  readonly states: Uint8Array
}

/** A decision batch whose rows are read on demand. */
export interface RecordedBatch {
  readonly partition: number
  readonly nextOffset: number
  readonly labelNextOffset: number
  readonly alignment: Alignment
  readonly frontier: readonly FrontierEntry[]
  readonly decidedAtMs: number
  readonly featureListHash: string
  readonly ratesDigest: string
  readonly mode: Mode
  readonly modelDigest: string
  readonly backend: string
  readonly policyDigest: string
  readonly policyVersion: number
  readonly decisions: readonly DecisionRecord[]
  readonly deadLetterOffsets: readonly number[]
  rowAt(index: number): RecordedRow
}

/** Rows are copied when they are read, so the decision batch may be a view of the fetched bytes. */
export function recordedBatchOf(block: DecisionBatch): RecordedBatch {
  const { decisions, features, featureStates, featureCount } = block
  const view = new DataView(features.buffer, features.byteOffset, features.byteLength)
  const rowAt = (index: number): RecordedRow => {
    const decision = decisions[index]
    if (decision === undefined) throw new RangeError(`The block has no decision ${index}.`)
    const values = new Float64Array(featureCount)
    const states = new Uint8Array(featureCount)
    for (let at = 0; at < featureCount; at += 1) {
      const place = index * featureCount + at
      const value = view.getFloat64(place * 8, true)
      values[at] = value
      states[at] = featureStates?.[place] ?? (Number.isNaN(value) ? STATE.absent : STATE.present)
    }
    return { decision, values, states }
  }
  const { partition, nextOffset, labelNextOffset, alignment, frontier } = block
  const { decidedAtMs, featureListHash, ratesDigest, deadLetterOffsets } = block
  const { mode, modelDigest, backend, policyDigest, policyVersion } = block
  return {
    partition,
    nextOffset,
    labelNextOffset,
    alignment,
    frontier,
    decidedAtMs,
    featureListHash,
    ratesDigest,
    mode,
    modelDigest,
    backend,
    policyDigest,
    policyVersion,
    decisions,
    deadLetterOffsets,
    rowAt,
  }
}
