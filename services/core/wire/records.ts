// The records on the output topics, field for field as in schemas/. The input records Transaction, Label and Watermark
// are in core/transaction.ts.

import type { Label } from '../transaction.ts'

/** Strictest action that a policy may take. */
export const MODES = ['observe', 'flag', 'enforce'] as const
export type Mode = (typeof MODES)[number]

/** Outcome of a transaction, from mildest to strictest. */
export const OUTCOMES = ['approve', 'flag', 'block'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Certainty of a block. */
export const GRADES = ['suspected', 'corroborated', 'confirmed'] as const
export type Grade = (typeof GRADES)[number]

/** Whether partitions wait for one another in event time (a replay) or not. */
export const ALIGNMENTS = ['live', 'aligned'] as const
export type Alignment = (typeof ALIGNMENTS)[number]

/** Reasons for which a decision has no score. Null in a decision with a score. */
export const NOT_SCORED = ['unknown', 'duplicate', 'invalid_score', 'model_unavailable'] as const
export type NotScored = (typeof NOT_SCORED)[number]

export const ALERT_ACTIONS = ['unknown', 'flag', 'block', 'release'] as const
export type AlertAction = (typeof ALERT_ACTIONS)[number]

export const RECEIPT_STATUSES = ['unknown', 'applied', 'refused', 'too_late'] as const
export type ReceiptStatus = (typeof RECEIPT_STATUSES)[number]

/** Findings of an analyst about a transaction. */
export const FINDINGS = ['unknown', 'confirmed_fraud', 'genuine', 'inconclusive'] as const
export type Finding = (typeof FINDINGS)[number]

export const CONTROL_KINDS = [
  'unknown',
  'model',
  'policy',
  'list',
  'override',
  'release',
  'breaker',
  'rates',
] as const
export type ControlKind = (typeof CONTROL_KINDS)[number]

/** One reason for a score, in words and numbers. */
export interface Reason {
  readonly feature: string
  /** Null when the feature was absent. */
  readonly value: number | null
  /** The value used instead, to compute `scoreAtBaseline`. */
  readonly baseline: number
  readonly scoreAtBaseline: number
  readonly text: string
}

/** The decision on one transaction. */
export interface DecisionRecord {
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly amountMinor: number
  readonly currency: string
  readonly outcome: Outcome
  /** 0 to 1, or null when not scored. */
  readonly score: number | null
  readonly notScored: NotScored | null
  readonly duplicateOfOffset: number | null
  readonly annotations: readonly string[]
  readonly reasons: readonly Reason[]
  /**
   * Lag of the slowest partition behind the end of the entity windows; null when no entity was read, or a partition had
   * not begun.
   */
  readonly entityAgeMs: number | null
  /** Offset of the late transaction that made a revision necessary; null for a first decision. */
  readonly causeOffset: number | null
  /** Segment of the policy to which the transaction belongs; null for none. */
  readonly segment: string | null
  /** Names of the policy's matching rules, in its order. */
  readonly rules: readonly string[]
}

/** Offsets up to which the shared state of one partition was used. */
export interface FrontierEntry {
  readonly partition: number
  readonly nextOffset: number
  readonly labelNextOffset: number
}

/** Header of a decision batch's message: when its newest transaction reached the scorer, ms UTC in decimal digits. */
export const FETCHED_HEADER = 'sluice-fetched-ms'

/** All decisions of one micro-batch of one partition, with the inputs needed to recompute them. */
export interface DecisionBatch {
  readonly streamId: string
  readonly partition: number
  readonly firstOffset: number
  readonly nextOffset: number
  readonly labelNextOffset: number
  /** Watermark messages among the offsets. */
  readonly watermarks: number
  readonly alignment: Alignment
  readonly mode: Mode
  readonly modelVersion: string
  readonly modelDigest: string
  readonly backend: string
  readonly policyDigest: string
  /** 0 is the built-in policy. */
  readonly policyVersion: number
  readonly featureListHash: string
  /** Names the table of exchange rates that converted the amounts. */
  readonly ratesDigest: string
  readonly controlPosition: number | null
  readonly frontier: readonly FrontierEntry[]
  /** Hash of the previous decision batch of this partition; empty for the first. */
  readonly previousHash: Uint8Array
  readonly decidedAtMs: number
  readonly featureCount: number
  /** `featureCount` little-endian doubles per decision, in order; NaN is absent. */
  readonly features: Uint8Array
  /** One state per value, as its index in FEATURE_STATES; null when every value is present or absent. */
  readonly featureStates: Uint8Array | null
  readonly decisions: readonly DecisionRecord[]
  readonly deadLetterOffsets: readonly number[]
  /** DIGEST_SALT_BYTES random bytes per decision, in order. */
  readonly digestSalts: Uint8Array
  /** Decisions whose values were erased from a copy. */
  readonly erased: readonly ErasedDecision[]
}

/** Remainder of a decision whose values were erased. */
export interface ErasedDecision {
  readonly index: number
  readonly digest: Uint8Array
}

/** The lease of a block, so that a subscriber releases the card without another message. */
export interface AlertLease {
  readonly grade: Grade
  readonly startMs: number
  readonly endMs: number
}

/** The input record that an alert is about. */
export interface AlertSource {
  readonly streamId: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Time stamp of the Kafka record: when it was sent. */
  readonly timestampMs: number
}

/** Causes for which an alert is revised. Null in revision 0. */
export const ALERT_CAUSES = [
  'unknown',
  'late_transaction',
  'extended',
  'expired',
  'person',
  'genuine_label',
  'correction',
] as const
export type AlertCause = (typeof ALERT_CAUSES)[number]

/** A matching rule of the policy. */
export interface AlertRule {
  readonly name: string
  readonly outcome: Outcome
  /** The reason in words. */
  readonly text: string
}

/** A feature with another value. */
export interface FeatureChange {
  readonly feature: string
  /** Null when the feature was absent. */
  readonly value: number | null
  /** Null is absent. */
  readonly changedTo: number | null
}

/** The least change found that gives a milder outcome. */
export interface Counterfactual extends FeatureChange {
  readonly scoreThen: number | null
  readonly outcomeThen: Outcome
  readonly text: string
  /** Further features that must change with it; empty when one is enough. */
  readonly also: readonly FeatureChange[]
}

/** A decision to flag or block, or a later revision of it. Key: card. */
export interface Alert {
  readonly alertId: string
  readonly revision: number
  readonly supersedes: number | null
  readonly action: AlertAction
  /** Null in revision 0. */
  readonly cause: AlertCause | null
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly amountMinor: number
  readonly currency: string
  readonly merchant: string | null
  readonly terminal: string | null
  readonly country: string | null
  readonly score: number | null
  /** The threshold that the score reached. */
  readonly threshold: number | null
  /** Score times amount, in minor units of the reference currency; null when not scored. */
  readonly expectedLossMinor: number | null
  /** 1, the most urgent, to 5, by expected loss; 0 means not known. */
  readonly priority: number
  readonly modelVersion: string
  readonly modelDigest: string
  readonly policyDigest: string
  /** 0 is the built-in policy. */
  readonly policyVersion: number
  readonly mode: Mode
  /** Segment of the policy to which the transaction belongs; null for none. */
  readonly segment: string | null
  /** Matching rules of the policy, in its order. */
  readonly rules: readonly AlertRule[]
  readonly annotations: readonly string[]
  readonly reasons: readonly Reason[]
  readonly counterfactual: Counterfactual | null
  readonly lease: AlertLease | null
  readonly source: AlertSource
  readonly decidedAtMs: number
}

/** An active block with its end. Key: card; a tombstone (null value) removes it. */
export interface Lease {
  readonly card: string
  readonly alertId: string
  readonly revision: number
  readonly grade: Grade
  readonly startMs: number
  readonly endMs: number
  readonly reason: string
  /** Last revision of the block's alert, as on the wire. */
  readonly alert: Uint8Array
  /** Event time at which a genuine label ends the lease; null when no label is pending. */
  readonly releaseAtMs: number | null
}

/** A subscriber's answer to an alert. Key: alert id. */
export interface Receipt {
  readonly alertId: string
  readonly revision: number
  readonly subscriber: string
  readonly status: ReceiptStatus
  readonly reason: string | null
  readonly atMs: number
}

/** A setting of operators. Key: the subject that it controls. */
export interface Control {
  readonly subject: string
  readonly kind: ControlKind
  readonly activeDigest: string | null
  readonly shadowDigest: string | null
  readonly mode: Mode | null
  readonly card: string | null
  readonly alertId: string | null
  /** Entries of a list or an override, JSON. */
  readonly body: string | null
  readonly author: string
  readonly reason: string
  readonly atMs: number
  readonly endMs: number | null
}

/** A message that could not be decided. Key: source topic. */
export interface DeadLetter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  /** A RejectReason; a string here because a later version may write reasons that this one lacks. */
  readonly reason: string
  readonly field: string | null
  readonly payloadBytes: number
  /** HMAC-SHA-256 of the payload. */
  readonly payloadHmac: Uint8Array
  /** Start of the payload with every digit masked. */
  readonly sample: string
  readonly decidedAtMs: number
}

/** Finding of an analyst about a transaction, with its reason. Key: transaction id and source, with a slash between. */
export interface Disposition {
  readonly transactionId: string
  /** The alert that was reviewed; null when the transaction had none. */
  readonly alertId: string | null
  readonly card: string
  readonly finding: Finding
  readonly source: Label['source']
  readonly author: string
  readonly reason: string
  /** Hash of the idempotency key of the request; null without one. */
  readonly requestKey: string | null
  readonly atMs: number
}
