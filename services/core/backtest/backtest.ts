// A backtest: every row once, under every policy. Without breakers and budgets, which follow event time, the counts do
// not depend on the order of the rows.

import type { AlertCosts } from '../scoring/alert-costs.ts'
import {
  isFraudBy,
  type LabelMaturity,
  type BacktestRow,
  type RuledOutcome,
  outcomeOfRecord,
  type Truth,
  truthOf,
} from './backtest-row.ts'
import { type CompiledFor, GuardedPolicy, type GuardSettings } from './guarded-policy.ts'
import {
  type CardCount,
  type Changes,
  ChangeTally,
  type CountAndMoney,
  DistinctCards,
  MoneySum,
  OutcomeTally,
  type Tallied,
} from './tallies.ts'

/** Limit on the policies of one backtest (P6). */
export const POLICIES_MAX = 20

export interface BacktestPolicy {
  readonly name: string
  readonly compiledFor: CompiledFor
  /** Null: rulings apply unchanged. */
  readonly guard: GuardSettings | null
}

export interface BacktestSettings {
  readonly policies: readonly BacktestPolicy[]
  /** Replaces the recorded decisions; null compares against the records. */
  readonly live: Omit<BacktestPolicy, 'name'> | null
  readonly maturity: LabelMaturity
  /** The same costs for all policies. */
  readonly costs: AlertCosts
  /** Examples kept for each policy and direction. */
  readonly examplesMax: number
}

/** Facts about the rows that do not depend on any policy. */
export interface RowFacts {
  readonly rows: number
  readonly minor: bigint
  /** Event times; null without rows. */
  readonly firstMs: number | null
  readonly lastMs: number | null
  /** Rows whose truth counts. */
  readonly mature: number
  readonly frauds: CountAndMoney
  /** Cards with a genuine mature transaction. */
  readonly genuineCards: CardCount
  /** Rows with a label known in time to count. */
  readonly labelled: number
  /** Frauds among the mature rows whose label arrived later than the maturity period. */
  readonly lateFrauds: number
  /** Known frauds among rows that are not mature; they count nowhere else. */
  readonly earlyFrauds: number
  readonly notScored: number
  /** Rows by UTC day, in order. */
  readonly days: readonly { readonly day: number; readonly rows: number }[]
}

export interface PolicyCounts {
  readonly name: string
  readonly tallied: Tallied
  readonly changes: Changes
  /** Number of times that its breakers tripped. */
  readonly trips: number
}

export interface BacktestCounts {
  readonly facts: RowFacts
  readonly live: Tallied
  readonly policies: readonly PolicyCounts[]
}

const DAY_MS = 86_400_000

export class Backtest {
  readonly #options: BacktestSettings
  readonly #facts = new FactTally()
  readonly #live: OutcomeTally
  /** Null: the recorded decisions are the live side. */
  readonly #livePolicy: GuardedPolicy | null
  readonly #policies: readonly {
    readonly name: string
    readonly policy: GuardedPolicy
    readonly tally: OutcomeTally
    readonly changes: ChangeTally
  }[]

  /** @throws RangeError for more policies than POLICIES_MAX. */
  constructor(options: BacktestSettings) {
    const { policies, live, costs, examplesMax } = options
    if (policies.length > POLICIES_MAX) {
      throw new RangeError(`At most ${POLICIES_MAX} policies are compared.`)
    }
    this.#options = options
    this.#live = new OutcomeTally(costs)
    this.#livePolicy = live === null ? null : new GuardedPolicy(live.compiledFor, live.guard)
    this.#policies = policies.map(({ name, compiledFor, guard }) => ({
      name,
      policy: new GuardedPolicy(compiledFor, guard),
      tally: new OutcomeTally(costs),
      changes: new ChangeTally(examplesMax),
    }))
  }

  get rows(): number {
    return this.#facts.rows
  }

  /** Counts a row. @throws TypeError when it has no recorded decision and no live policy is given. */
  add(row: BacktestRow): void {
    const { maturity } = this.#options
    const truth = truthOf(row.input.transaction.eventTimeMs, row.label, maturity)
    this.#facts.add(row, truth, maturity)
    const live = this.#liveOutcome(row)
    this.#live.add(row, truth, live)
    for (const { policy, tally, changes } of this.#policies) {
      const ruled = policy.decide(row)
      tally.add(row, truth, ruled)
      changes.add(row, truth, live, ruled)
    }
  }

  get counts(): BacktestCounts {
    return {
      facts: this.#facts.facts,
      live: this.#live.tallied,
      policies: this.#policies.map(({ name, policy: { trips }, tally, changes }) => ({
        name,
        trips,
        tallied: tally.tallied,
        changes: changes.changes,
      })),
    }
  }

  #liveOutcome(row: BacktestRow): RuledOutcome {
    if (this.#livePolicy !== null) return this.#livePolicy.decide(row)
    const { decided } = row
    if (decided === null)
      throw new TypeError('The row has no recorded decision; give a live policy.')
    return outcomeOfRecord(decided)
  }
}

class FactTally {
  rows = 0
  #mature = 0
  #frauds = 0
  #labelled = 0
  #lateFrauds = 0
  #earlyFrauds = 0
  #notScored = 0
  #firstMs = Infinity
  #lastMs = -Infinity
  readonly #money = new MoneySum()
  readonly #fraudMoney = new MoneySum()
  readonly #genuineCards = new DistinctCards()
  readonly #days = new Map<number, number>()

  add({ input, label }: BacktestRow, truth: Truth, maturity: LabelMaturity): void {
    const { referenceMinor, score, transaction } = input
    const { eventTimeMs, card } = transaction
    const { asOfMs, maturityMs } = maturity
    this.rows += 1
    this.#money.add(referenceMinor)
    this.#firstMs = Math.min(this.#firstMs, eventTimeMs)
    this.#lastMs = Math.max(this.#lastMs, eventTimeMs)
    const day = Math.floor(eventTimeMs / DAY_MS)
    this.#days.set(day, (this.#days.get(day) ?? 0) + 1)
    if (Number.isNaN(score)) this.#notScored += 1
    if (label !== null && label.knownAtMs <= asOfMs) this.#labelled += 1
    if (truth === 'unknown') {
      if (isFraudBy(label, asOfMs)) this.#earlyFrauds += 1
      return
    }
    this.#mature += 1
    if (truth === 'genuine') this.#genuineCards.add(card)
    else {
      this.#frauds += 1
      this.#fraudMoney.add(referenceMinor)
      if (label !== null && label.knownAtMs - eventTimeMs > maturityMs) this.#lateFrauds += 1
    }
  }

  get facts(): RowFacts {
    return {
      rows: this.rows,
      minor: this.#money.minor,
      firstMs: this.rows === 0 ? null : this.#firstMs,
      lastMs: this.rows === 0 ? null : this.#lastMs,
      mature: this.#mature,
      frauds: { count: this.#frauds, minor: this.#fraudMoney.minor },
      genuineCards: this.#genuineCards.count,
      labelled: this.#labelled,
      lateFrauds: this.#lateFrauds,
      earlyFrauds: this.#earlyFrauds,
      notScored: this.#notScored,
      days: [...this.#days].map(([day, rows]) => ({ day, rows })).sort((a, b) => a.day - b.day),
    }
  }
}
