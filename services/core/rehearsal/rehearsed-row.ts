// What a back-test is made of: one transaction with everything that was known when it was decided, what was decided, and
// what is known of it by now.

import type { PolicyLists } from '../policy/policy-lists.ts'
import type { PolicyInput, Ruling } from '../policy/ruling.ts'
import type { Outcome } from '../wire/records.ts'

/** The last word on a transaction. */
export interface KnownLabel {
  readonly verdict: 'fraud' | 'genuine'
  readonly knownAtMs: number
}

/** What was decided at the time. */
export interface Decided {
  readonly outcome: Outcome
  /** Names of the rules that fired then. */
  readonly rules: readonly string[]
  /** What the policy of the time and its guard said beside it. */
  readonly marks: readonly string[]
}

/** One transaction of a back-test. Nothing of it is kept, so arrays may be used again for the next. */
export interface RehearsedRow {
  readonly input: PolicyInput
  /** What lists hold when it is ruled. Rows with the same lists share one object, for which a policy is compiled once. */
  readonly lists: PolicyLists
  /** Null where that is not known: then a policy must stand for it. */
  readonly decided: Decided | null
  readonly label: KnownLabel | null
}

/** Closed list. Unknown: too young for its label to be expected. */
export const TRUTHS = ['fraud', 'genuine', 'unknown'] as const
export type Truth = (typeof TRUTHS)[number]

/** When labels count. */
export interface LabelMaturity {
  /** What became known later is not looked at; Infinity where labels are final. */
  readonly asOfMs: number
  /** A transaction older than this at `asOfMs` is mature: fraud when a label says so, else genuine. */
  readonly maturityMs: number
}

/** The truth about a transaction as of a moment. */
export function truthOf(
  eventTimeMs: number,
  label: KnownLabel | null,
  { asOfMs, maturityMs }: LabelMaturity,
): Truth {
  if (eventTimeMs + maturityMs > asOfMs) return 'unknown'
  return isFraudBy(label, asOfMs) ? 'fraud' : 'genuine'
}

/** True when a label that was known by then says fraud. */
export function isFraudBy(label: KnownLabel | null, asOfMs: number): boolean {
  return label !== null && label.verdict === 'fraud' && label.knownAtMs <= asOfMs
}

/** What one side of a comparison says of a row. */
export interface Said {
  readonly outcome: Outcome
  /** Names, with why where that is known. */
  readonly rules: readonly { readonly name: string; readonly text: string }[]
  readonly marks: readonly string[]
}

/** A recorded decision, in the form of a ruling. */
export function saidOfDecided({ outcome, rules, marks }: Decided): Said {
  return { outcome, rules: rules.map((name) => ({ name, text: '' })), marks }
}

export function saidOfRuling({ outcome, rules, marks }: Ruling): Said {
  return { outcome, rules, marks }
}
