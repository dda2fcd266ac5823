// What the gateway answers about one transaction, and why it may answer without a decision.

import { ALERT_ACTIONS, type AlertLease, type DecisionRecord } from '../core/wire/records.ts'

/** What a decision asks of its receivers; none when the mode publishes nothing. */
export const ACTIONS = [
  'none',
  ...ALERT_ACTIONS.filter((each) => each === 'flag' || each === 'block'),
] as const
export type Action = 'none' | 'flag' | 'block'

/** What decided the transactions of a batch. */
export interface Versions {
  readonly model: string
  readonly modelDigest: string
  /** 0 is the built-in policy. */
  readonly policy: number
  readonly policyDigest: string
  readonly featureList: string
}

/** The first decision on a transaction, as far as it is answered. */
export interface KeptDecision extends Pick<
  DecisionRecord,
  | 'offset'
  | 'card'
  | 'eventTimeMs'
  | 'amountMinor'
  | 'currency'
  | 'outcome'
  | 'score'
  | 'notScored'
  | 'annotations'
  | 'reasons'
  | 'segment'
  | 'rules'
> {
  readonly partition: number
  readonly mode: 'observe' | 'flag' | 'enforce'
  readonly versions: Versions
  readonly decidedAtMs: number
}

/** What the alert of a decision adds. */
export interface KeptAlert {
  readonly action: Action
  readonly alertId: string | null
  readonly lease: AlertLease | null
}
