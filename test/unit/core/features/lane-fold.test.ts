// Goal: the rows of LaneFold are what the definitions say. Method: random streams that aim at edges, each
// transaction compared with an oracle that filters the list of everything before it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareStream } from '../../../support/compared-rows.ts'
import {
  backsToMerged,
  DAY_MS,
  edgesMs,
  HOUR_MS,
  itemsOf,
  neverRepeated,
  stepsOf,
} from '../../../support/feature-streams.ts'
import { holds, holdsForLong } from '../../../support/property.ts'

test('rows, states and marks are those of the definitions, at every edge of every window', () => {
  holds(
    400,
    fc.property(stepsOf({ stepsMax: 30, cards: 2, terminals: 2 }), (steps) => {
      for (const { folded } of compareStream(itemsOf(steps))) {
        assert.ok(!folded.marks.includes('windows_approximate'), 'nothing is crowded here')
      }
    }),
  )
})

test('an entity with crowded hours is as coarse as documented, and says so', () => {
  const shape = {
    stepsMin: 90,
    stepsMax: 140,
    cards: 400,
    terminals: 1,
    repeatsId: neverRepeated,
    repeatsIntent: neverRepeated,
    labelShare: 0.3,
    latesMs: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.constant(HOUR_MS)),
    backs: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 })),
    gapsMs: fc.oneof(
      { weight: 90, arbitrary: fc.constantFrom(0, 1, 20_000) },
      fc.integer({ min: 0, max: HOUR_MS }),
      edgesMs,
    ),
  }
  let approximateCount = 0
  let estimateCount = 0
  holdsForLong(
    40,
    fc.property(stepsOf(shape), (steps) => {
      for (const { folded, naive } of compareStream(itemsOf(steps))) {
        if (folded.marks.includes('windows_approximate')) approximateCount += 1
        if ([...naive.values.values()].some(({ isEstimate }) => isEstimate)) estimateCount += 1
      }
    }),
  )
  assert.ok(approximateCount > 0, 'no hour was crowded: the property tested nothing')
  assert.ok(estimateCount > 0, 'no hour had too many cards: nothing was estimated')
})

test('a card with more events than are kept singly is as coarse as documented, and says so', () => {
  let approximateCount = 0
  holdsForLong(
    3,
    fc.property(
      stepsOf({
        stepsMin: 560,
        stepsMax: 620,
        cards: 1,
        terminals: 0,
        labelShare: 0,
        backs: backsToMerged,
        gapsMs: fc.oneof(
          { weight: 200, arbitrary: fc.integer({ min: 0, max: 12_000 }) },
          fc.constantFrom(HOUR_MS, DAY_MS, 6 * DAY_MS),
          edgesMs,
        ),
        latesMs: fc.oneof(
          { weight: 40, arbitrary: fc.constant(0) },
          { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 * HOUR_MS }) },
          fc.constantFrom(1, HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS),
        ),
      }),
      (steps) => {
        approximateCount += compareStream(itemsOf(steps)).filter(({ folded }) =>
          folded.marks.includes('windows_approximate'),
        ).length
      },
    ),
  )
  assert.ok(approximateCount > 0, 'the card was never crowded: the property tested nothing')
})
