// What a policy is asked, and what it answers.

import type { Thresholds } from '../decision/decide.ts'
import type { Transaction } from '../transaction.ts'
import type { AlertRule, Grade, Mode, Outcome } from '../wire/records.ts'

/**
 * Marks that a policy puts on a decision. Closed list.
 * `policy_failed`: a condition could not be answered. `block_withheld`: a block rested on what the policy does not let
 * blocks rest on, and became a flag. `overridden`: a block was taken back by an allow list or an approving rule.
 */
export const POLICY_MARKS = ['policy_failed', 'block_withheld', 'overridden'] as const
export type PolicyMark = (typeof POLICY_MARKS)[number]

/** Put on a decision by the scorer: other lanes had not come to where the entity windows of the transaction end. */
export const LAGGING_MARK = 'entity_lagging'

/** One transaction with all that a policy may look at. Nothing of it is kept or changed. */
export interface PolicyInput {
  readonly transaction: Transaction
  /** FEATURE_COUNT values; NaN is absent. */
  readonly row: Float64Array
  /** As many states. */
  readonly states: Uint8Array
  /** NaN is "not scored". */
  readonly score: number
  /** The amount in minor units of the reference currency. */
  readonly referenceMinor: number
  readonly modelThresholds: Thresholds
  /** Of the fold and of the cascade. */
  readonly marks: readonly string[]
}

/** What a policy says about one transaction. */
export interface Ruling {
  readonly outcome: Outcome
  /** How far the policy may go here; caps what is published. */
  readonly mode: Mode
  readonly segment: string | null
  /** Rules and lists that applied, in the policy's order. Empty where the score alone decided. */
  readonly rules: readonly AlertRule[]
  readonly grade: Grade
  /** Of a block. */
  readonly leaseMs: number
  /** To be added to those of the decision. */
  readonly marks: readonly PolicyMark[]
  /** Conditions that failed: names of rules, or `segment/<name>`. */
  readonly failed: readonly string[]
  /** The score from which on the outcome would be this one; null where no score reached one. */
  readonly threshold: number | null
}

/** A policy that can be asked. */
export interface CompiledPolicy {
  /** Of a block to which no rule gives another length, and from the moment on at which a fraud label confirms a block. */
  readonly leaseMs: number
  /** Pure: the same input gives the same ruling. Lists and rules named in `without` are not asked; none unless given. */
  rule(input: PolicyInput, without?: ReadonlySet<string>): Ruling
}
