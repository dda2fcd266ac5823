// A back-test: every row once, under every policy. Without breakers and budgets, which go by event time, what it counts
// does not depend on the order of the rows.

import type { AlertCosts } from '../scoring/alert-costs.ts'
import { ChangeTally, type Changes } from './change-tally.ts'
import type { CompiledFor } from './compiled-by-lists.ts'
import { DistinctCards, type CardCount } from './distinct-cards.ts'
import { GuardedPolicy, type GuardSettings } from './guarded-policy.ts'
import { MoneySum } from './money-sum.ts'
import { OutcomeTally, type CountAndMoney, type Tallied } from './outcome-tally.ts'
import {
  isFraudBy,
  saidOfDecided,
  truthOf,
  type LabelMaturity,
  type RehearsedRow,
  type Said,
  type Truth,
} from './rehearsed-row.ts'

/** Policies of one back-test. */
export const POLICIES_MAX = 20

export interface RehearsedPolicy {
  readonly name: string
  readonly compiledFor: CompiledFor
  /** Null: what is ruled stands. */
  readonly guard: GuardSettings | null
}

export interface RehearsalOptions {
  readonly policies: readonly RehearsedPolicy[]
  /** Stands for what was decided; null goes by what was recorded. */
  readonly live: Omit<RehearsedPolicy, 'name'> | null
  readonly maturity: LabelMaturity
  /** One yardstick for all policies. */
  readonly costs: AlertCosts
  /** Examples of each policy, each way. */
  readonly examplesMax: number
}

/** What is known of the rows, whatever is decided. */
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
  /** Rows with a label that was known in time to count. */
  readonly labelled: number
  /** Frauds among the mature rows whose label took longer than it takes a row to be mature. */
  readonly lateFrauds: number
  /** Frauds that are known of rows that are not mature; they count nowhere else. */
  readonly earlyFrauds: number
  readonly notScored: number
  /** Rows by UTC day, in order. */
  readonly days: readonly { readonly day: number; readonly rows: number }[]
}

export interface PolicyCounts {
  readonly name: string
  readonly tallied: Tallied
  readonly changes: Changes
  /** How often its breakers have tripped. */
  readonly trips: number
}

export interface RehearsalCounts {
  readonly facts: RowFacts
  readonly live: Tallied
  readonly policies: readonly PolicyCounts[]
}

const DAY_MS = 86_400_000

export class Rehearsal {
  readonly #options: RehearsalOptions
  readonly #facts = new FactTally()
  readonly #live: OutcomeTally
  /** Null: what was recorded. */
  readonly #livePolicy: GuardedPolicy | null
  readonly #policies: readonly {
    readonly name: string
    readonly policy: GuardedPolicy
    readonly tally: OutcomeTally
    readonly changes: ChangeTally
  }[]

  /** @throws RangeError for more policies than POLICIES_MAX. */
  constructor(options: RehearsalOptions) {
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

  /** Counts a row. @throws TypeError when nothing says what was decided. */
  take(row: RehearsedRow): void {
    const { maturity } = this.#options
    const truth = truthOf(row.input.transaction.eventTimeMs, row.label, maturity)
    this.#facts.add(row, truth, maturity)
    const live = this.#saidLive(row)
    this.#live.add(row, truth, live)
    for (const { policy, tally, changes } of this.#policies) {
      const said = policy.say(row)
      tally.add(row, truth, said)
      changes.add(row, truth, live, said)
    }
  }

  get counts(): RehearsalCounts {
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

  #saidLive(row: RehearsedRow): Said {
    if (this.#livePolicy !== null) return this.#livePolicy.say(row)
    const { decided } = row
    if (decided === null) throw new TypeError('Nothing says what was decided about a row.')
    return saidOfDecided(decided)
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

  add({ input, label }: RehearsedRow, truth: Truth, maturity: LabelMaturity): void {
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
