// Goal: the order of arrival changes no final card feature. Method: one card's stream in order, and shuffled within the
// allowed lateness; the final row of a transaction is its own, or that of its last recomputation. Bit for bit.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  FEATURES,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import { PARTITION_START } from '../../../../services/core/features/engine/partition-fold.ts'
import type { Transaction } from '../../../../services/core/transaction.ts'
import {
  edgesMs,
  HOUR_MS,
  itemsOf,
  neverLate,
  neverRepeated,
  stepsOf,
} from '../../../support/feature-streams.ts'
import { foldEntries, openFold, PlainState } from '../../../support/fold-entries.ts'
import { holds } from '../../../support/property.ts'

const LATENESS_MS = 3 * 24 * HOUR_MS

const OF_CARD = FEATURES.flatMap(({ entity }, index) => (entity === 'card' ? [index] : []))

/** By id, the values of card features that stand in the end. */
function finalRows(transactions: readonly Transaction[]): ReadonlyMap<string, readonly number[]> {
  const fold = openFold(PARTITION_START)
  const state = new PlainState()
  const final = new Map<string, readonly number[]>()
  const keep = (id: string, row: ArrayLike<number>): void => {
    final.set(
      id,
      OF_CARD.map((index) => row[index] ?? NaN),
    )
  }
  for (const [offset, transaction] of transactions.entries()) {
    const entry = { kind: 'transaction' as const, offset, transaction }
    for (const { row, recomputed, annotations } of foldEntries([], [entry], 0, fold, state)) {
      assert.ok(!annotations.includes('behind_reach'), 'the shuffle stays within the lateness')
      keep(transaction.id, row)
      for (const later of recomputed) keep(later.transaction.id, later.after.row)
    }
  }
  return final
}

/** Sorted by time plus a delay of at most the lateness: no two change places that are further apart. */
function delayed(
  transactions: readonly Transaction[],
  delaysMs: readonly number[],
): readonly Transaction[] {
  return transactions
    .map((transaction, index) => ({
      transaction,
      atMs: transaction.eventTimeMs + (delaysMs[index % delaysMs.length] ?? 0),
    }))
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ transaction }) => transaction)
}

// Decisions are recomputed for at most 32 causes, and only the 64 newest events are looked at.
const steps = stepsOf({
  stepsMax: 32,
  cards: 1,
  terminals: 2,
  labelShare: 0,
  repeatsId: neverRepeated,
  latesMs: neverLate,
  backs: fc.constant(0),
  gapsMs: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0, 0, 1) },
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 12 * HOUR_MS }) },
    { weight: 3, arbitrary: edgesMs },
  ),
})

const delays = fc.array(
  fc.oneof(
    fc.constantFrom(0, 0, LATENESS_MS, LATENESS_MS - 1),
    fc.integer({ min: 0, max: LATENESS_MS }),
  ),
  { minLength: 1, maxLength: 40 },
)

test('a stream shuffled within the lateness ends in the rows of the ordered stream', () => {
  let recomputedCount = 0
  holds(
    200,
    fc.property(steps, delays, (stream, delaysMs) => {
      const ordered = itemsOf(stream).flatMap((item) =>
        item.kind === 'transaction' ? [item.transaction] : [],
      )
      const shuffled = delayed(ordered, delaysMs)
      if (shuffled.some(({ id }, index) => id !== ordered[index]?.id)) recomputedCount += 1
      const expected = finalRows(ordered)
      for (const [id, row] of finalRows(shuffled)) {
        for (const [index, value] of row.entries()) {
          const name = FEATURE_NAMES[OF_CARD[index] ?? 0] ?? ''
          assert.ok(Object.is(value, expected.get(id)?.[index]), `${name} of ${id}`)
        }
      }
    }),
  )
  assert.ok(recomputedCount > 0, 'nothing was shuffled')
})
