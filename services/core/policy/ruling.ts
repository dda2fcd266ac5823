// The input and output of a policy.

import type { Thresholds } from '../decision/decide.ts'
import type { Transaction } from '../transaction.ts'
import type { AlertRule, Grade, Mode, Outcome } from '../wire/records.ts'

/**
 * Annotations that a policy adds to a decision. Closed list. `policy_failed`: a condition could not be evaluated.
 * `block_withheld`: a block on a basis that the policy does not allow became a flag. `overridden`: an allow list or an
 * approving rule overrode a block.
 */
export const POLICY_ANNOTATIONS = ['policy_failed', 'block_withheld', 'overridden'] as const
export type PolicyAnnotation = (typeof POLICY_ANNOTATIONS)[number]

/** Set by the scorer: other partitions had not yet reached the end of the transaction's entity windows. */
export const LAGGING_MARK = 'entity_lagging'

/** One transaction with everything that a policy may read. A policy neither stores nor changes it. */
export interface PolicyInput {
  readonly transaction: Transaction
  /** FEATURE_COUNT values; NaN is absent. */
  readonly row: Float64Array
  /** FEATURE_COUNT states. */
  readonly states: Uint8Array
  /** NaN when not scored. */
  readonly score: number
  /** The amount in hundredths of the reference currency; NaN when there is no rate. */
  readonly referenceMinor: number
  readonly modelThresholds: Thresholds
  /** Annotations of the feature engine and the cascade. */
  readonly annotations: readonly string[]
}

/** The decision of a policy on one transaction. */
export interface Ruling {
  readonly outcome: Outcome
  /** The mode in force for this transaction; limits what is published. */
  readonly mode: Mode
  readonly segment: string | null
  /** Matching rules and lists, in the policy's order. Empty when the score alone decided. */
  readonly rules: readonly AlertRule[]
  readonly grade: Grade
  /** Lease of a block. */
  readonly leaseMs: number
  /** To be added to the annotations of the decision. */
  readonly annotations: readonly PolicyAnnotation[]
  /** Failed conditions: names of rules, or `segment/<name>`. */
  readonly failed: readonly string[]
  /** The threshold that the score reached for this outcome; null when it reached none. */
  readonly threshold: number | null
}

/** A compiled policy. */
export interface CompiledPolicy {
  /** Default lease of a block; also its lease from the time a fraud label confirms it. */
  readonly leaseMs: number
  /** Pure: the same input gives the same ruling. Lists and rules named in `without` are skipped. */
  rule(input: PolicyInput, without?: ReadonlySet<string>): Ruling
}
