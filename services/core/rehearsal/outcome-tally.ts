// Counts of one policy: how many rows and how much money by outcome and truth, by day and by rule.

import { wrongBlockCostMinor, type AlertCosts } from '../scoring/alert-costs.ts'
import { OUTCOMES, type Outcome } from '../wire/records.ts'
import { DistinctCards, type CardCount } from './distinct-cards.ts'
import { MoneySum } from './money-sum.ts'
import { TRUTHS, type RehearsedRow, type Said, type Truth } from './rehearsed-row.ts'

/** Names of rules that are told apart; more than a policy may have, but a record may name any. */
export const RULES_MAX = 1_000
/** Under which the rest is counted. */
export const OTHER_RULES = '(others)'

/** Rows and their money, in minor units of the reference currency. */
export interface CountAndMoney {
  readonly count: number
  readonly minor: bigint
}

export type ByOutcome<Value> = Readonly<Record<Outcome, Value>>
export type ByTruth<Value> = Readonly<Record<Truth, Value>>

/** How often a rule fired, and on what. */
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

/** Everything that was counted of one policy. */
export interface Tallied {
  readonly outcomes: ByOutcome<ByTruth<CountAndMoney>>
  /** Of frauds that were flagged, what a flag still saves. */
  readonly flagSavesMinor: bigint
  /** Of genuine transactions that were blocked. */
  readonly wrongBlockMinor: bigint
  /** Cards with a genuine transaction that was blocked; that was blocked or flagged. */
  readonly blockedCards: CardCount
  readonly alertedCards: CardCount
  /** In order; a day without alerts is left out. */
  readonly days: readonly DayCount[]
  /** In order of names. */
  readonly rules: readonly RuleCount[]
  readonly marks: Readonly<Record<string, number>>
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

  add({ input }: RehearsedRow, truth: Truth, { outcome, rules, marks }: Said): void {
    const { transaction, referenceMinor } = input
    this.#cells[outcome][truth].add(referenceMinor)
    for (const { name } of rules) this.#addRule(name, truth)
    for (const mark of marks) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1)
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
      marks: Object.fromEntries([...this.#marks].sort(([a], [b]) => (a < b ? -1 : 1))),
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
