// What cards had done before each decision, from the transactions topic: a cascade is asked as a whole about what a stream has
// decided, with the payments that its large net would have read then.

import { DEFAULT_RATES } from '../../core/currency.ts'
import {
  blankCardEvent,
  cardEventOf,
  type CardEvent,
} from '../../core/features/state/card-event.ts'
import { CardHistory } from '../../core/features/state/card-history.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_PLAN } from '../../core/features/engine/partition-fold.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { DecisionRecord } from '../../core/wire/records.ts'
import type { RowPast } from './candidate-rows.ts'

/** All that a sequence does not ask for is none. */
const BLANK: CardEvent = {
  ...blankCardEvent(),
  ...{ intentHash: 0, merchantHash: 0, terminalHash: 0, deviceHash: 0, networkHash: 0 },
}

/** Events of a card after which it is made small again, and by how many more each time. */
const COMPACT_EVENTS = 128

/** What a sequence needs of a transaction; many are held. */
export type PastPayment = Pick<
  CardEvent,
  'timeMs' | 'amountMinor' | 'idHash' | 'categoryHash' | 'utcOffsetMinutes'
>

export function pastPaymentOf(transaction: Transaction): PastPayment {
  const { timeMs, amountMinor, idHash, categoryHash, utcOffsetMinutes } = cardEventOf(
    transaction,
    0,
    DEFAULT_RATES,
  )
  return { timeMs, amountMinor, idHash, categoryHash, utcOffsetMinutes }
}

/** Takes first decisions in the order of their offsets, as the partition did. */
export class CardPasts {
  readonly #cards = new Map<string, { readonly history: CardHistory; compactAt: number }>()

  /** What the card had done before this decision, which is then a part of it. Of a repeated transaction nothing is kept. */
  take(
    { card, offset, duplicateOfOffset, annotations }: DecidedPayment,
    payment: PastPayment,
  ): RowPast {
    let known = this.#cards.get(card)
    if (known === undefined) {
      known = { history: new CardHistory(), compactAt: COMPACT_EVENTS }
      this.#cards.set(card, known)
    }
    const { history } = known
    const sequence = new Float64Array(SEQUENCE_LENGTH)
    writeSequence(history, payment.timeMs, payment.idHash, offset, sequence, 0)
    // What a partition does not remember either; without its state it cannot tell what is repeated.
    const isRepeated = duplicateOfOffset !== null || history.indexOfId(payment.idHash) >= 0
    if (!isRepeated && !annotations.includes('behind_reach')) {
      history.insert({ ...BLANK, ...payment, offset }, false, FEATURE_PLAN.card.kept)
    }
    if (history.count >= known.compactAt) {
      history.compact(offset + 1)
      known.compactAt = history.count + COMPACT_EVENTS
    }
    return { amountMinor: payment.amountMinor, sequence }
  }
}

type DecidedPayment = Pick<DecisionRecord, 'card' | 'offset' | 'duplicateOfOffset' | 'annotations'>
