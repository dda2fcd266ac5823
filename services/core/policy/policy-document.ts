// A checked policy document: how scores, features and lists become outcomes. Versions, modes and the content of lists are
// not part of it; they belong to the ruleset, which names the policy by its digest.

import type { AlertCosts } from '../scoring/alert-costs.ts'
import type { Grade, Outcome } from '../wire/records.ts'

/** Value of `apiVersion` in every policy. */
export const POLICY_API_VERSION = 'sluice/v1'

/** Limits of one document (P6). */
export const POLICY_LIMITS = {
  bytesMax: 262_144,
  rulesMax: 200,
  segmentsMax: 32,
  listsMax: 32,
  attributesMax: 32,
  breakersMax: 8,
  nameCharactersMax: 64,
  reasonCharactersMax: 500,
} as const

/** First: the first matching rule decides. Strictest: all rules are evaluated, and the strictest outcome decides. */
export const MATCHES = ['first', 'strictest'] as const
export type Match = (typeof MATCHES)[number]

/** Doubtful inputs on which a block must not be based unless the policy allows it. Closed list. */
export const BLOCK_CAUTIONS = ['degraded', 'stale', 'unverified'] as const
export type BlockCaution = (typeof BLOCK_CAUTIONS)[number]

/** Thresholds that turn a score into an outcome. */
export type PolicyThresholds =
  | { readonly kind: 'model' }
  | { readonly kind: 'scores'; readonly flag: number; readonly block: number }
  | { readonly kind: 'cost'; readonly costs: AlertCosts }

/** Fields of a transaction that a list can match. */
export const LIST_FIELDS = [
  'card',
  'merchant',
  'merchantCategory',
  'terminal',
  'country',
  'device',
  'ipNetwork',
] as const
export type ListField = (typeof LIST_FIELDS)[number]

/** Block and allow act on their own; condition lists are used only by `inList`. */
export const LIST_EFFECTS = ['block', 'allow', 'condition'] as const
export type ListEffect = (typeof LIST_EFFECTS)[number]

/** A list used by the policy. */
export interface PolicyList {
  readonly name: string
  /** The field that it matches; null for a list that only conditions use. */
  readonly field: ListField | null
  readonly effect: ListEffect
  /** True when an allow list or an approving rule overrides its block. */
  readonly overridable: boolean
}

/** CEL types of the attributes of transactions. */
export const ATTRIBUTE_TYPES = ['string', 'number', 'boolean'] as const
export type AttributeType = (typeof ATTRIBUTE_TYPES)[number]

/** An attribute of transactions that the policy reads. A value of another type counts as absent. */
export interface PolicyAttribute {
  readonly name: string
  readonly type: AttributeType
}

/** A part of the traffic; a transaction belongs to the first segment whose condition holds. */
export interface PolicySegment {
  readonly name: string
  /** CEL; null always holds. */
  readonly when: string | null
}

export interface PolicyRule {
  readonly name: string
  /** CEL. */
  readonly when: string
  readonly outcome: Outcome
  readonly grade: Grade
  /** Lease of a block by this rule; null for the policy's default. */
  readonly leaseMs: number | null
  readonly overridable: boolean
  /** Only in this segment; null for all. */
  readonly segment: string | null
  /** Human-readable, with placeholders such as {transaction.merchant} or {card_count_1h}. */
  readonly reason: string
}

/** Limits beyond which blocks become flags until an operator resets the breaker; per partition, in event time. */
export interface BreakerLimits {
  /** Null counts all traffic. */
  readonly segment: string | null
  readonly windowMs: number
  readonly blocksPerMinuteMax: number | null
  readonly trafficShareMax: number | null
  readonly valueShareMax: number | null
  /** Minimum of transactions in the window before the limits on shares apply. */
  readonly sampleMin: number
}

/** A small share of blocks that is let through to measure their accuracy. Minor units of the reference currency. */
export interface ControlGroup {
  readonly share: number
  readonly amountMaxMinor: number
  readonly dayMaxMinor: number
}

/** A checked policy. */
export interface PolicyDocument {
  readonly name: string
  readonly match: Match
  readonly thresholds: PolicyThresholds
  /** Alerts that analysts can handle in a day; null for no limit. */
  readonly alertsPerDayMax: number | null
  readonly leaseMs: number
  /** Outcome of a transaction without a score. */
  readonly unscoredOutcome: Outcome
  readonly allowBlockOn: readonly BlockCaution[]
  /** Minimum outcome when a condition fails. */
  readonly onFailure: 'flag' | 'block'
  readonly attributes: readonly PolicyAttribute[]
  readonly lists: readonly PolicyList[]
  readonly segments: readonly PolicySegment[]
  readonly rules: readonly PolicyRule[]
  readonly breakers: readonly BreakerLimits[]
  readonly controlGroup: ControlGroup | null
}
