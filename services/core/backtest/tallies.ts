// The counts of a backtest: rows and money of each policy by outcome and truth, by day and by rule; differences of a
// policy from live; and the sums that both use.

import assert from 'node:assert/strict'
import { hashOf } from '../id-hash.ts'
import { type AlertCosts, wrongBlockCostMinor } from '../scoring/alert-costs.ts'
import type { Transaction } from '../transaction.ts'
import { type Outcome, OUTCOMES } from '../wire/records.ts'
import { type BacktestRow, type RuledOutcome, type Truth, TRUTHS } from './backtest-row.ts'

/** Rules counted by name (P6): more than a policy may have, but records may name any. */
export const RULES_MAX = 1_000
/** The name under which all further rules are counted. */
export const OTHER_RULES = '(others)'

/** Rows and their money, in minor units of the reference currency. */
export interface CountAndMoney {
  readonly count: number
  readonly minor: bigint
}

export type ByOutcome<Value> = Readonly<Record<Outcome, Value>>
export type ByTruth<Value> = Readonly<Record<Truth, Value>>

/** Number of times that a rule fired, and the truth of those rows. */
export interface RuleCount {
  readonly name: string
  readonly fired: number
  readonly frauds: number
  readonly genuine: number
}

/** Alerts of one UTC day, counted from 1970. */
export interface DayCount {
  readonly day: number
  readonly flags: number
  readonly blocks: number
}

/** All counts of one policy. */
export interface Tallied {
  readonly outcomes: ByOutcome<ByTruth<CountAndMoney>>
  /** The part of the flagged fraud that a flag still saves. */
  readonly flagSavesMinor: bigint
  /** Cost of the genuine transactions that were blocked. */
  readonly wrongBlockMinor: bigint
  /** Cards with a genuine transaction that was blocked. */
  readonly blockedCards: CardCount
  /** Cards with a genuine transaction that was blocked or flagged. */
  readonly alertedCards: CardCount
  /** In order; a day without alerts is left out. */
  readonly days: readonly DayCount[]
  /** In order of names. */
  readonly rules: readonly RuleCount[]
  readonly annotations: Readonly<Record<string, number>>
}

const DAY_MS = 86_400_000

class Cell {
  count = 0
  readonly money = new MoneySum()

  add(minor: number): void {
    this.count += 1
    this.money.add(minor)
  }

  get value(): CountAndMoney {
    return { count: this.count, minor: this.money.minor }
  }
}

export class OutcomeTally {
  readonly #costs: AlertCosts
  readonly #cells = record(OUTCOMES, () => record(TRUTHS, () => new Cell()))
  readonly #flagSaves = new MoneySum()
  readonly #wrongBlocks = new MoneySum()
  readonly #blockedCards = new DistinctCards()
  readonly #alertedCards = new DistinctCards()
  readonly #days = new Map<number, { flags: number; blocks: number }>()
  readonly #rules = new Map<string, { fired: number; frauds: number; genuine: number }>()
  readonly #marks = new Map<string, number>()

  constructor(costs: AlertCosts) {
    this.#costs = costs
  }

  add({ input }: BacktestRow, truth: Truth, { outcome, rules, annotations }: RuledOutcome): void {
    const { transaction, referenceMinor } = input
    this.#cells[outcome][truth].add(referenceMinor)
    for (const { name } of rules) this.#addRule(name, truth)
    for (const mark of annotations) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1)
    if (outcome === 'approve') return
    const day = Math.floor(transaction.eventTimeMs / DAY_MS)
    let counts = this.#days.get(day)
    if (counts === undefined) this.#days.set(day, (counts = { flags: 0, blocks: 0 }))
    if (outcome === 'flag') counts.flags += 1
    else counts.blocks += 1
    this.#addMoney(outcome, truth, referenceMinor)
    if (truth !== 'genuine') return
    this.#alertedCards.add(transaction.card)
    if (outcome === 'block') this.#blockedCards.add(transaction.card)
  }

  get tallied(): Tallied {
    return {
      outcomes: record(OUTCOMES, (outcome) =>
        record(TRUTHS, (truth) => this.#cells[outcome][truth].value),
      ),
      flagSavesMinor: this.#flagSaves.minor,
      wrongBlockMinor: this.#wrongBlocks.minor,
      blockedCards: this.#blockedCards.count,
      alertedCards: this.#alertedCards.count,
      days: [...this.#days]
        .map(([day, counts]) => ({ day, ...counts }))
        .sort((a, b) => a.day - b.day),
      rules: [...this.#rules]
        .map(([name, counts]) => ({ name, ...counts }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      annotations: Object.fromEntries([...this.#marks].sort(([a], [b]) => (a < b ? -1 : 1))),
    }
  }

  #addMoney(outcome: Outcome, truth: Truth, minor: number): void {
    if (outcome === 'flag' && truth === 'fraud') {
      this.#flagSaves.add(Math.round(this.#costs.flagSavesShare * minor))
    }
    if (outcome === 'block' && truth === 'genuine') {
      this.#wrongBlocks.add(Math.round(wrongBlockCostMinor(minor, this.#costs)))
    }
  }

  #addRule(name: string, truth: Truth): void {
    const known = this.#rules.has(name) || this.#rules.size < RULES_MAX ? name : OTHER_RULES
    let counts = this.#rules.get(known)
    if (counts === undefined) {
      this.#rules.set(known, (counts = { fired: 0, frauds: 0, genuine: 0 }))
    }
    counts.fired += 1
    if (truth === 'fraud') counts.frauds += 1
    if (truth === 'genuine') counts.genuine += 1
  }
}

/** An object with a value for each of the names. */
export function record<Name extends string, Value>(
  names: readonly Name[],
  make: (name: Name) => Value,
): Readonly<Record<Name, Value>> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, Value>
}

// Differences of a policy from live: their number, how many are right, and the most expensive transactions each way.

/** Rows on which the policy is stricter, or milder, than live: their truth, and examples. */
export interface Changed extends CountAndMoney {
  readonly frauds: number
  readonly fraudMinor: bigint
  readonly genuine: number
  readonly examples: readonly Example[]
}

export interface Changes {
  /** Rows by the live outcome and the policy's. */
  readonly matrix: ByOutcome<ByOutcome<number>>
  readonly stricter: Changed
  readonly milder: Changed
}

export class ChangeTally {
  readonly #matrix = record(OUTCOMES, () => ({ approve: 0, flag: 0, block: 0 }))
  readonly #stricter: ChangedTally
  readonly #milder: ChangedTally

  /** @param examplesMax examples kept each way. */
  constructor(examplesMax: number) {
    this.#stricter = new ChangedTally(examplesMax)
    this.#milder = new ChangedTally(examplesMax)
  }

  add(row: BacktestRow, truth: Truth, live: RuledOutcome, policy: RuledOutcome): void {
    this.#matrix[live.outcome][policy.outcome] += 1
    const difference = strictnessOf(policy.outcome) - strictnessOf(live.outcome)
    if (difference > 0) this.#stricter.add(row, truth, live, policy)
    if (difference < 0) this.#milder.add(row, truth, live, policy)
  }

  get changes(): Changes {
    return {
      matrix: record(OUTCOMES, (outcome) => ({ ...this.#matrix[outcome] })),
      stricter: this.#stricter.changed,
      milder: this.#milder.changed,
    }
  }
}

class ChangedTally {
  #count = 0
  #frauds = 0
  #genuine = 0
  readonly #money = new MoneySum()
  readonly #fraudMoney = new MoneySum()
  readonly #examples: ExampleList

  constructor(examplesMax: number) {
    this.#examples = new ExampleList(examplesMax)
  }

  add(row: BacktestRow, truth: Truth, live: RuledOutcome, policy: RuledOutcome): void {
    const { referenceMinor } = row.input
    this.#count += 1
    this.#money.add(referenceMinor)
    if (truth === 'fraud') {
      this.#frauds += 1
      this.#fraudMoney.add(referenceMinor)
    }
    if (truth === 'genuine') this.#genuine += 1
    this.#examples.offer(row, truth, live, policy)
  }

  get changed(): Changed {
    return {
      count: this.#count,
      minor: this.#money.minor,
      frauds: this.#frauds,
      fraudMinor: this.#fraudMoney.minor,
      genuine: this.#genuine,
      examples: this.#examples.examples,
    }
  }
}

function strictnessOf(outcome: Outcome): number {
  return OUTCOMES.indexOf(outcome)
}

// Examples of the difference: the most expensive transactions, independent of the order of the rows.

/** The outcome of one side, for display. */
export interface ShownOutcome {
  readonly outcome: Outcome
  readonly rules: readonly { readonly name: string; readonly text: string }[]
}

/** One transaction on which a policy and the live one differ. */
export interface Example {
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly amountMinor: number
  readonly currency: string
  /** Minor units of the reference currency. */
  readonly referenceMinor: number
  readonly merchant: string | null
  readonly country: string | null
  readonly channel: Transaction['channel']
  /** Null when not scored. */
  readonly score: number | null
  readonly truth: Truth
  readonly live: ShownOutcome
  readonly policy: ShownOutcome
}

type Rank = Pick<Example, 'referenceMinor' | 'eventTimeMs' | 'transactionId'>

/** Keeps the `countMax` most expensive, the earlier first where amounts are equal. */
export class ExampleList {
  readonly #countMax: number
  readonly #examples: Example[] = []

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  offer({ input }: BacktestRow, truth: Truth, live: RuledOutcome, policy: RuledOutcome): void {
    if (this.#countMax === 0) return
    const { transaction, referenceMinor, score } = input
    const { id, card, eventTimeMs, amountMinor, currency } = transaction
    const rank = { referenceMinor, eventTimeMs, transactionId: id }
    const last = this.#examples.at(-1)
    if (this.#examples.length === this.#countMax && last !== undefined && compare(last, rank) <= 0)
      return
    const { merchant, country, channel } = transaction
    const found = this.#examples.findIndex((example) => compare(rank, example) < 0)
    this.#examples.splice(found < 0 ? this.#examples.length : found, 0, {
      transactionId: id,
      card,
      eventTimeMs,
      amountMinor,
      currency,
      referenceMinor,
      merchant,
      country,
      channel,
      score: Number.isNaN(score) ? null : score,
      truth,
      live: shown(live),
      policy: shown(policy),
    })
    this.#examples.splice(this.#countMax)
  }

  get examples(): readonly Example[] {
    return [...this.#examples]
  }
}

function compare(a: Rank, b: Rank): number {
  if (a.referenceMinor !== b.referenceMinor) return b.referenceMinor - a.referenceMinor
  if (a.eventTimeMs !== b.eventTimeMs) return a.eventTimeMs - b.eventTimeMs
  return a.transactionId < b.transactionId ? -1 : a.transactionId > b.transactionId ? 1 : 0
}

function shown({ outcome, rules }: RuledOutcome): ShownOutcome {
  return { outcome, rules: rules.map(({ name, text }) => ({ name, text })) }
}

// Exact sums of minor units: a number while that is safe, carried over into a bigint.

/** Far enough below 2^53 that adding one more amount is still exact. */
const LOW_MAX = 2 ** 52

export class MoneySum {
  #low = 0
  #high = 0n

  /** Adds an amount that is not negative. */
  add(amountMinor: number): void {
    assert(
      Number.isSafeInteger(amountMinor) && amountMinor >= 0,
      'An amount is a whole number of at least 0.',
    )
    if (amountMinor > LOW_MAX) {
      this.#high += BigInt(amountMinor)
      return
    }
    this.#low += amountMinor
    if (this.#low < LOW_MAX) return
    this.#high += BigInt(this.#low)
    this.#low = 0
  }

  get minor(): bigint {
    return this.#high + BigInt(this.#low)
  }
}

// The number of distinct cards in bounded memory: exact up to CARDS_EXACT_MAX, beyond that estimated from the k smallest
// hashes (KMV sketch), which do not depend on the order of the cards.

/** The k of the sketch. Up to k cards the count is exact; beyond, its standard error is 1 / sqrt(k) = 0.6 %. */
const CARDS_EXACT_MAX = 32_768

const REFERENCES = 2 ** 48

/** A number of cards, and whether it was counted or estimated. */
export interface CardCount {
  readonly cards: number
  readonly isExact: boolean
}

export class DistinctCards {
  readonly #exactMax: number
  #hashes = new Set<number>()
  /** Hashes at or above the limit are no longer among the smallest. */
  #limit = Infinity

  constructor(exactMax = CARDS_EXACT_MAX) {
    this.#exactMax = exactMax
  }

  add(card: string): void {
    const hash = hashOf(card)
    if (hash >= this.#limit) return
    this.#hashes.add(hash)
    if (this.#hashes.size >= 2 * this.#exactMax) this.#prune()
  }

  get count(): CardCount {
    if (this.#hashes.size > this.#exactMax) this.#prune()
    if (this.#limit === Infinity) return { cards: this.#hashes.size, isExact: true }
    // The limit is the hash that follows the `exactMax` smallest: `exactMax` cards fill the range of hashes below it.
    return { cards: Math.round(this.#exactMax / (this.#limit / REFERENCES)), isExact: false }
  }

  /** Keeps the smallest hashes; the next one becomes the limit. */
  #prune(): void {
    const sorted = Float64Array.from(this.#hashes).sort()
    this.#limit = sorted[this.#exactMax] ?? Infinity
    this.#hashes = new Set(sorted.subarray(0, this.#exactMax))
  }
}
