// Goal: a row depends on the log alone. Method: the same log folded one by one into state that is never stored,
// and in random batches through encoded, compacted values of both layouts, with crashes after the state was written and
// before the commit; every bit of every row, state, mark and recomputation must be equal, and so must the state at the end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeCard } from '../../../../services/core/features/card-layouts.ts'
import { decodeEntityPart } from '../../../../services/core/features/entity-layouts.ts'
import { cuts, rowsInBatches, rowsOneByOne } from '../../../support/batched-lane.ts'
import {
  backsToMerged,
  crowdedCardGapsMs,
  crowdedCardLatesMs,
  itemsOf,
  rarelyRepeated,
  stepsOf,
  type StreamItem,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { PlainState, type LaneLog } from '../../../support/fold-entries.ts'
import { normalCard, normalPart } from '../../../support/normal-state.ts'
import { holds, holdsForLong } from '../../../support/property.ts'
import { logsOf, StoredLanes } from '../../../support/stored-lanes.ts'

const crowdedRetries: StreamShape = {
  stepsMin: 620,
  stepsMax: 680,
  cards: 1,
  terminals: 1,
  labelShare: 0.05,
  repeatsIntent: rarelyRepeated,
  repeatsId: rarelyRepeated,
  backs: backsToMerged,
  gapsMs: crowdedCardGapsMs,
  latesMs: crowdedCardLatesMs,
}

function logOf(items: readonly StreamItem[]): LaneLog {
  const [log] = logsOf(items, 1, () => 0)
  assert.ok(log !== undefined)
  return log
}

/** Cards and parts in normal form, by key. */
function finalState(stored: StoredLanes): ReadonlyMap<string, unknown> {
  const state = new Map<string, unknown>()
  for (const [key, value] of stored.cards) state.set(key.slice(2), normalCard(decodeCard(value)))
  for (const [key, value] of stored.entities) {
    const part = normalPart(decodeEntityPart(value))
    if (part !== null) state.set(key.slice(2), part)
  }
  return state
}

function plainState({ cards, parts }: PlainState): ReadonlyMap<string, unknown> {
  const state = new Map<string, unknown>()
  for (const [key, card] of cards) state.set(key, normalCard(card))
  for (const [key, part] of parts) {
    const normal = normalPart(part)
    if (normal !== null) state.set(key, normal)
  }
  return state
}

test('batches, storage and crashes change no bit of any row, nor of the state in the end', () => {
  holds(
    200,
    fc.property(stepsOf({ stepsMax: 60, cards: 2, terminals: 2 }), cuts, (steps, plan) => {
      const log = logOf(itemsOf(steps))
      const [stored, plain] = [new StoredLanes(1), new PlainState()]
      const rows = rowsInBatches(log, plan, stored)
      for (const expected of rowsOneByOne(log, plain)) {
        assert.deepEqual(rows.get(expected.offset), expected)
      }
      assert.deepEqual(finalState(stored), plainState(plain))
    }),
  )
})

test('nor where hours are crowded and a card has more events than are kept singly', () => {
  holdsForLong(
    8,
    fc.property(stepsOf(crowdedRetries), cuts, (steps, plan) => {
      const log = logOf(itemsOf(steps))
      const [stored, plain] = [new StoredLanes(1), new PlainState()]
      const rows = rowsInBatches(log, plan, stored)
      for (const expected of rowsOneByOne(log, plain)) {
        assert.deepEqual(rows.get(expected.offset), expected)
      }
      assert.deepEqual(finalState(stored), plainState(plain))
    }),
  )
})
