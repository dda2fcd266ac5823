// Where a policy and the live one differ: how often, how often rightly, and the most expensive transactions both ways.

import { OUTCOMES, type Outcome } from '../wire/records.ts'
import { ExampleList, type Example } from './example-list.ts'
import { MoneySum } from './money-sum.ts'
import { record, type ByOutcome, type CountAndMoney } from './outcome-tally.ts'
import type { RehearsedRow, Said, Truth } from './rehearsed-row.ts'

/** Stricter or milder than live: rows, what they turned out to be, and examples. */
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

  /** @param examplesMax examples each way. */
  constructor(examplesMax: number) {
    this.#stricter = new ChangedTally(examplesMax)
    this.#milder = new ChangedTally(examplesMax)
  }

  add(row: RehearsedRow, truth: Truth, live: Said, policy: Said): void {
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

  add(row: RehearsedRow, truth: Truth, live: Said, policy: Said): void {
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
