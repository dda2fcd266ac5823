// Goal: the rows of PartitionFold are what the definitions say. Method: random streams that aim at edges, each
// transaction compared with an oracle that filters the list of everything before it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareStream } from '../../../../support/compared-rows.ts'
import {
  backsToMerged,
  crowdedCardGapsMs,
  crowdedCardLatesMs,
  edgesMs,
  HOUR_MS,
  itemsOf,
  neverRepeated,
  rarelyRepeated,
  stepsOf,
} from '../../../../support/feature-streams.ts'
import { holds, holdsForLong } from '../../../../support/property.ts'

test('rows, states and annotations are those of the definitions, at every edge of every window', () => {
  holds(
    400,
    fc.property(stepsOf({ stepsMax: 30, cards: 2, terminals: 2 }), (steps) => {
      for (const { folded } of compareStream(itemsOf(steps))) {
        assert.ok(!folded.annotations.includes('windows_approximate'), 'nothing is crowded here')
      }
    }),
  )
})

test('an entity with crowded hours is as coarse as documented, and says so', () => {
  const shape = {
    cards: 400,
    terminals: 1,
    labelShare: 0.3,
    repeatsId: neverRepeated,
    repeatsIntent: neverRepeated,
    latesMs: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.constant(HOUR_MS)),
  }
  const crowd = stepsOf({
    ...shape,
    stepsMin: 70,
    stepsMax: 90,
    backs: fc.constant(0),
    gapsMs: fc.constantFrom(0, 1, 20_000),
  })
  const after = stepsOf({
    ...shape,
    stepsMax: 40,
    backs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 60 })),
    gapsMs: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(0, 1, 20_000) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 * HOUR_MS }) },
      edgesMs,
    ),
  })
  let approximateCount = 0
  let estimateCount = 0
  holdsForLong(
    40,
    fc.property(crowd, after, (first, second) => {
      for (const { folded, naive } of compareStream(itemsOf([...first, ...second]), 60)) {
        if (folded.annotations.includes('windows_approximate')) approximateCount += 1
        if ([...naive.values.values()].some(({ isEstimate }) => isEstimate)) estimateCount += 1
      }
    }),
  )
  assert.ok(approximateCount > 0, 'no hour was crowded: the property tested nothing')
  assert.ok(estimateCount > 0, 'no hour had too many cards: nothing was estimated')
})

test('a card with more events than are kept singly is as coarse as documented, and says so', () => {
  let coarseCount = 0
  holdsForLong(
    3,
    fc.property(
      stepsOf({
        stepsMin: 600,
        stepsMax: 640,
        cards: 1,
        terminals: 0,
        labelShare: 0,
        repeatsId: rarelyRepeated,
        repeatsIntent: rarelyRepeated,
        backs: backsToMerged,
        gapsMs: crowdedCardGapsMs,
        latesMs: crowdedCardLatesMs,
      }),
      (steps) => {
        for (const { naive } of compareStream(itemsOf(steps), 540)) {
          const mean = naive.values.get('card_mean_amount_1d')
          if (mean?.exact !== mean?.value) coarseCount += 1
        }
      },
    ),
  )
  assert.ok(coarseCount > 0, 'nothing was merged: the property tested nothing')
})
