// Applies the policy to one scored batch: annotates each transaction and rules on it.

import assert from 'node:assert/strict'
import { outcomeOfStored } from '../../core/decision/decide.ts'
import { ENTITY_KINDS } from '../../core/features/catalogue/feature-definition.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { Folded } from '../../core/features/engine/partition-fold.ts'
import {
  LAGGING_MARK,
  type CompiledPolicy,
  type PolicyInput,
  type Ruling,
} from '../../core/policy/ruling.ts'
import type { CascadeAnnotation } from '../../core/scoring/cascade.ts'
import { entityAgeMsOf, isLagging } from '../../core/stream/alignment.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { DecisionRecord, Outcome } from '../../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import type { FoldedBatch, FoldedEntry } from '../batch/fold-batch.ts'
import { cascadeAnnotation, type VerifiedScores } from '../batch/verify-batch.ts'

/** One transaction of a batch, decided. */
export interface RuledRow extends Pick<DecisionRecord, 'annotations' | 'entityAgeMs'> {
  readonly outcome: Outcome
  /** Null for a duplicate: the first decision stands, whatever policy made it. */
  readonly ruling: Ruling | null
  /** Input of the policy; null for a duplicate, which has no ruling. */
  readonly input: PolicyInput | null
}

/** Rules all transactions of a batch, in order. */
export function ruleBatch(
  batch: FoldedBatch,
  { scores, verified }: VerifiedScores,
  progress: readonly (PartitionProgress | null)[],
  options: DecideOptions,
): readonly RuledRow[] {
  const byOffset = new Map<number, Outcome>()
  const matrix = {
    transactions: batch.rows.map(({ transaction }) => transaction),
    amountsMinor: batch.rows.map(({ folded }) => folded.amountMinor),
    features: batch.features,
    states: batch.states,
    modelThresholds: options.thresholds,
  }
  return batch.rows.map((entry, index) => {
    const { offset, folded } = entry
    const { annotations, entityAgeMs } = standing(
      entry,
      progress,
      options,
      cascadeAnnotation(verified, index),
    )
    if (folded.duplicateOfOffset !== null) {
      // The first decision stands; it may have been made earlier in this very batch.
      const outcome = firstOutcome(byOffset, folded) ?? options.unscoredOutcome
      return { outcome, ruling: null, input: null, annotations, entityAgeMs }
    }
    const input = new RowInput(matrix, index, scores[index] ?? NaN, annotations)
    const ruling = options.policy.rule(input)
    byOffset.set(offset, ruling.outcome)
    return {
      outcome: ruling.outcome,
      ruling,
      input,
      annotations: withAnnotation(annotations, ruling),
      entityAgeMs,
    }
  })
}

/** Rows that the policy rules on, one after the other. */
interface RowMatrix {
  readonly transactions: readonly Transaction[]
  /** In the reference currency. */
  readonly amountsMinor: readonly number[]
  /** FEATURE_COUNT values a row, and as many states. */
  readonly features: Float64Array
  readonly states: Uint8Array
  readonly modelThresholds: PolicyInput['modelThresholds']
}

/** A row of a matrix as the policy reads it. Subarrays are made only when a condition reads them. */
export class RowInput implements PolicyInput {
  readonly transaction: Transaction
  readonly score: number
  readonly referenceMinor: number
  readonly modelThresholds: PolicyInput['modelThresholds']
  readonly annotations: readonly string[]
  readonly #features: Float64Array
  readonly #states: Uint8Array
  readonly #start: number
  #row: Float64Array | null = null
  #rowStates: Uint8Array | null = null

  constructor(
    { transactions, amountsMinor, features, states, modelThresholds }: RowMatrix,
    index: number,
    score: number,
    annotations: readonly string[],
  ) {
    const transaction = transactions[index]
    const amountMinor = amountsMinor[index]
    assert(transaction !== undefined && amountMinor !== undefined, 'The matrix has no such row.')
    this.transaction = transaction
    this.#features = features
    this.#states = states
    this.#start = index * FEATURE_COUNT
    this.score = score
    this.referenceMinor = amountMinor
    this.modelThresholds = modelThresholds
    this.annotations = annotations
  }

  get row(): Float64Array {
    this.#row ??= this.#features.subarray(this.#start, this.#start + FEATURE_COUNT)
    return this.#row
  }

  get states(): Uint8Array {
    this.#rowStates ??= this.#states.subarray(this.#start, this.#start + FEATURE_COUNT)
    return this.#rowStates
  }
}

/** Rules on the same transaction with another row and score, without some of the policy's rules. */
export function rulingIf(
  policy: CompiledPolicy,
  { transaction, states, referenceMinor, modelThresholds, annotations }: PolicyInput,
  row: Float64Array,
  score: number,
  without: ReadonlySet<string>,
): Ruling {
  const input = { transaction, row, states, score, referenceMinor, modelThresholds, annotations }
  return policy.rule(input, without)
}

/** The annotations of a decision with those of its ruling. */
export function withAnnotation(annotations: readonly string[], ruling: Ruling): readonly string[] {
  return ruling.annotations.length === 0 ? annotations : [...annotations, ...ruling.annotations]
}

/** The outcome of the transaction that this one repeats; null when a rebuilt state no longer holds it. */
function firstOutcome(byOffset: ReadonlyMap<number, Outcome>, folded: Folded): Outcome | null {
  return byOffset.get(folded.duplicateOfOffset ?? -1) ?? outcomeOfStored(folded.duplicateOutcome)
}

/** Annotations of a decision, and the age of the entity state that it read. */
function standing(
  { transaction, folded }: FoldedEntry,
  progress: readonly (PartitionProgress | null)[],
  { alignment, partition }: DecideOptions,
  mark: CascadeAnnotation | null,
): Pick<DecisionRecord, 'annotations' | 'entityAgeMs'> {
  const annotations = mark === null ? folded.annotations : [...folded.annotations, mark]
  const namesEntity = ENTITY_KINDS.some(
    (kind) => transaction[kind === 'network' ? 'ipNetwork' : kind] !== null,
  )
  if (!namesEntity || folded.annotations.includes('degraded')) {
    return { annotations, entityAgeMs: null }
  }
  if (alignment === 'aligned') return { annotations, entityAgeMs: 0 }
  const { eventTimeMs } = transaction
  const lags = isLagging(eventTimeMs, partition, progress)
  return {
    annotations: lags ? [...annotations, LAGGING_MARK] : annotations,
    entityAgeMs: entityAgeMsOf(eventTimeMs, partition, progress),
  }
}
