// Goal: a gate gives the large net the same input as the scorer would have: the payments before each decision, rebuilt
// from transactions and decisions alone. Oracle: the scorer's own fold, with late, repeated and retried payments.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CardPasts, pastPaymentOf } from '../../../../services/cli/model/candidate-rows.ts'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import {
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../../services/core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../../../services/core/features/engine/history-fold.ts'
import {
  DAY_MS,
  HOUR_MS,
  itemsOf,
  rarelyRepeated,
  stepsOf,
} from '../../../support/feature-streams.ts'
import { holds } from '../../../support/property.ts'

/** Short enough that no card is forgotten between two payments. */
const GAPS_MS = fc.oneof(fc.nat(2 * HOUR_MS), fc.nat(2 * DAY_MS))
/** Some are too late to be remembered. */
const LATES_MS = fc.oneof(fc.constant(0), fc.nat(2 * DAY_MS), fc.constant(4 * DAY_MS))
const SHAPE = stepsOf({
  ...{ stepsMax: 120, stepsMin: 40, cards: 2, terminals: 3 },
  ...{ gapsMs: GAPS_MS, backs: fc.constant(0), latesMs: LATES_MS, repeatsId: rarelyRepeated },
})

test('the payments before a decision are those that its partition knew, whatever came late or twice', () => {
  let long = 0
  const annotations = new Set<string>()
  holds(
    150,
    fc.property(SHAPE, (steps) => {
      // One partition, so that offsets count as they are read.
      const fold = new HistoryFold({ rates: DEFAULT_RATES, partitionCount: 1 })
      const pasts = new CardPasts()
      const row = new Float64Array(FEATURE_COUNT)
      for (const [offset, item] of itemsOf(steps).entries()) {
        if (item.kind === 'label') continue
        const { transaction } = item
        const expected = new Float64Array(SEQUENCE_LENGTH)
        fold.sequence(transaction, expected, 0)
        const { duplicateOfOffset, amountMinor, ...folded } = fold.transaction(transaction, row, 0)
        const decided = {
          card: transaction.card,
          ...{ offset, duplicateOfOffset },
          annotations: [...folded.annotations],
        }
        const past = pasts.take(decided, pastPaymentOf(transaction))
        for (const mark of folded.annotations) annotations.add(mark)
        if (duplicateOfOffset !== null) continue
        deepStrictEqual(past, { sequence: expected, amountMinor })
        if (!Number.isNaN(expected[2 * SEQUENCE_WIDTH])) long += 1
      }
    }),
  )
  ok(long > 500, `only ${long} with three payments before them`)
  for (const mark of ['duplicate', 'late', 'behind_reach']) ok(annotations.has(mark), mark)
})
