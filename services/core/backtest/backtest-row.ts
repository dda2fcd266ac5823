// One row of a backtest: a transaction with everything that was known when it was decided, the decision made at the
// time, and the truth known by now.

import type { PolicyLists } from '../policy/policy-lists.ts'
import type { PolicyInput, Ruling } from '../policy/ruling.ts'
import type { Outcome } from '../wire/records.ts'

/** The newest label of a transaction. */
export interface KnownLabel {
  readonly verdict: 'fraud' | 'genuine'
  readonly knownAtMs: number
}

/** The decision made at the time. */
export interface Decided {
  readonly outcome: Outcome
  /** Names of the matching rules. */
  readonly rules: readonly string[]
  /** Annotations of the policy in force and its guards. */
  readonly annotations: readonly string[]
}

/** One transaction of a backtest. The backtest keeps no reference to it, so its arrays may be reused for the next. */
export interface BacktestRow {
  readonly input: PolicyInput
  /** Content of the lists at the time. Rows with the same lists share one object, for which a policy is compiled once. */
  readonly lists: PolicyLists
  /** Null when unknown: a live policy must then be given. */
  readonly decided: Decided | null
  readonly label: KnownLabel | null
}

/** Closed list. Unknown: the transaction is too young for a label to be expected. */
export const TRUTHS = ['fraud', 'genuine', 'unknown'] as const
export type Truth = (typeof TRUTHS)[number]

/** Rules for which labels count. */
export interface LabelMaturity {
  /** Labels known later are ignored; Infinity where labels are final. */
  readonly asOfMs: number
  /** A transaction older than this at `asOfMs` is mature: fraud when its label is fraud, else genuine. */
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

/** True when a label known by `asOfMs` is fraud. */
export function isFraudBy(label: KnownLabel | null, asOfMs: number): boolean {
  return label !== null && label.verdict === 'fraud' && label.knownAtMs <= asOfMs
}

/** The outcome of one side of the comparison, live or policy, for one row. */
export interface RuledOutcome {
  readonly outcome: Outcome
  /** The rules that fired; `text` is empty where the reason was not recorded. */
  readonly rules: readonly { readonly name: string; readonly text: string }[]
  readonly annotations: readonly string[]
}

/** A recorded decision in the form of a ruling. */
export function outcomeOfRecord({ outcome, rules, annotations }: Decided): RuledOutcome {
  return { outcome, rules: rules.map((name) => ({ name, text: '' })), annotations }
}

export function outcomeOfRuling({ outcome, rules, annotations }: Ruling): RuledOutcome {
  return { outcome, rules, annotations }
}
