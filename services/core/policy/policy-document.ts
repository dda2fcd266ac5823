// A policy as an operator writes it, checked: what turns scores, features and lists into outcomes. Versions, modes and
// the content of lists are not part of it; they stand in the ruleset, which names the policy by its digest.

import type { AlertCosts } from '../scoring/alert-costs.ts'
import type { Grade, Outcome } from '../wire/records.ts'

/** The first line of every policy. */
export const POLICY_API_VERSION = 'sluice/v1'

/** Limits of one document (P6). */
export const POLICY_LIMITS = {
  bytesMax: 262_144,
  rulesMax: 200,
  segmentsMax: 32,
  listsMax: 32,
  breakersMax: 8,
  nameCharactersMax: 64,
  reasonCharactersMax: 500,
} as const

/** First: the first rule that applies decides. Strictest: all are asked, and the strictest outcome decides. */
export const MATCHES = ['first', 'strictest'] as const
export type Match = (typeof MATCHES)[number]

/** What a block must not rest on unless the policy allows it. Closed list. */
export const BLOCK_CAUTIONS = ['degraded', 'stale', 'unverified'] as const
export type BlockCaution = (typeof BLOCK_CAUTIONS)[number]

/** How a score becomes an outcome. */
export type PolicyThresholds =
  | { readonly kind: 'model' }
  | { readonly kind: 'scores'; readonly flag: number; readonly block: number }
  | { readonly kind: 'cost'; readonly costs: AlertCosts }

/** Fields of a transaction that a list can be held against. */
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

/** Block and allow act by themselves; condition is for `inList` in conditions only. */
export const LIST_EFFECTS = ['block', 'allow', 'condition'] as const
export type ListEffect = (typeof LIST_EFFECTS)[number]

/** A list that the policy uses. */
export interface PolicyList {
  readonly name: string
  /** What it is held against; null for a list that only conditions use. */
  readonly field: ListField | null
  readonly effect: ListEffect
  /** Of a block: whether an allow list or an approving rule takes it back. */
  readonly overridable: boolean
}

/** A part of the traffic; the first whose condition holds names it. */
export interface PolicySegment {
  readonly name: string
  /** CEL; null holds always. */
  readonly when: string | null
}

export interface PolicyRule {
  readonly name: string
  /** CEL. */
  readonly when: string
  readonly outcome: Outcome
  readonly grade: Grade
  /** Of a block by this rule; null is the policy's. */
  readonly leaseMs: number | null
  readonly overridable: boolean
  /** Only in this segment; null in all. */
  readonly segment: string | null
  /** For a person, with placeholders such as {transaction.merchant} or {card_count_1h}. */
  readonly reason: string
}

/** When blocks become flags until a person resets the breaker. All limits hold per lane, in event time. */
export interface BreakerLimits {
  /** Null counts all traffic. */
  readonly segment: string | null
  readonly windowMs: number
  readonly blocksPerMinuteMax: number | null
  readonly trafficShareMax: number | null
  readonly valueShareMax: number | null
  /** Shares are of at least so many transactions in the window: what may be blocked of little traffic. */
  readonly sampleMin: number
}

/** A small share that is let through whatever is decided, so that blocks can be judged. Minor units of the reference currency. */
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
  /** What analysts can look at in a day; null is no limit. */
  readonly alertsPerDayMax: number | null
  readonly leaseMs: number
  /** Of a transaction without a score. */
  readonly unscoredOutcome: Outcome
  readonly allowBlockOn: readonly BlockCaution[]
  /** Least outcome where a condition fails. */
  readonly onFailure: 'flag' | 'block'
  readonly lists: readonly PolicyList[]
  readonly segments: readonly PolicySegment[]
  readonly rules: readonly PolicyRule[]
  readonly breakers: readonly BreakerLimits[]
  readonly controlGroup: ControlGroup | null
}
