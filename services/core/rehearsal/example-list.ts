// The few transactions that show best where two policies differ: the most expensive ones, the same whatever the order of
// the rows.

import type { Transaction } from '../transaction.ts'
import type { Outcome } from '../wire/records.ts'
import type { RehearsedRow, Said, Truth } from './rehearsed-row.ts'

/** What one side said, for a person. */
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

/** Keeps the `countMax` most expensive, the earlier first where they cost the same. */
export class ExampleList {
  readonly #countMax: number
  readonly #examples: Example[] = []

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  offer({ input }: RehearsedRow, truth: Truth, live: Said, policy: Said): void {
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
      ...{ transactionId: id, card, eventTimeMs, amountMinor, currency, referenceMinor },
      ...{ merchant, country, channel },
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

function shown({ outcome, rules }: Said): ShownOutcome {
  return { outcome, rules: rules.map(({ name, text }) => ({ name, text })) }
}
