// Goal: a row depends on the log alone. Method: the same log folded one by one into state that is never stored,
// and in random batches through encoded, compacted values, with crashes after the state was written and
// before the commit; every bit of every row, state, mark and recomputation must be equal, and so must the state at the end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { COLUMN } from '../../../../services/core/features/state/card-columns.ts'
import { decodeCard } from '../../../../services/core/features/state/card-codec.ts'
import { decodeEntityPart } from '../../../../services/core/features/state/entity-codec.ts'
import { REVISABLE_MAX } from '../../../../services/core/features/state/card-limits.ts'
import { PARTITION_START } from '../../../../services/core/features/engine/partition-fold.ts'
import { revisableFromMs } from '../../../../services/core/features/engine/late-revisions.ts'
import { decodePage, pageOf } from '../../../../services/core/features/state/message-page.ts'
import { frontiers, rowsInBatches, rowsOneByOne } from '../../../support/batched-partition.ts'
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
import {
  foldEntries,
  openFold,
  PlainState,
  type Entry,
  type PartitionLog,
} from '../../../support/fold-entries.ts'
import { normalCard, normalPart } from '../../../support/normal-state.ts'
import { holds, holdsForLong } from '../../../support/property.ts'
import { logsOf, StoredPartitions, type Guards } from '../../../support/stored-partitions.ts'

/** One at which each control shows. */
const SEED = 5

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

function logOf(items: readonly StreamItem[]): PartitionLog {
  const [log] = logsOf(items, 1, () => 0)
  assert.ok(log !== undefined)
  return log
}

/** Cards and parts in normal form, by key. */
function finalState(stored: StoredPartitions): ReadonlyMap<string, unknown> {
  const state = new Map<string, unknown>()
  for (const [key, value] of stored.cards) {
    state.set(key.slice(2), normalCard(decodeCard(value)))
  }
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

/** Whatever a late transaction may ask for is stored. */
function assertMessages(
  stored: StoredPartitions,
  { cards, messages }: PlainState,
  newestEventMs: number,
): void {
  const { pages } = stored.messages[0] ?? assert.fail()
  for (const card of cards.values()) {
    const oldest = Math.max(card.finalisedCount, card.count - REVISABLE_MAX)
    for (let index = oldest; index < card.count; index += 1) {
      if (card.at(index, COLUMN.time) < revisableFromMs(newestEventMs)) continue
      const offset = card.at(index, COLUMN.offset)
      const page = pages.get(pageOf(offset)) ?? assert.fail(`the page of ${offset} is gone`)
      const found = decodePage(pageOf(offset), page, Infinity, 0).find(offset)
      assert.deepEqual(found, Buffer.from(messages.find(offset) ?? []), `the message at ${offset}`)
    }
  }
}

test('batches, storage and crashes change no bit of any row, nor of the state in the end', () => {
  holds(
    200,
    fc.property(stepsOf({ stepsMax: 60, cards: 2, terminals: 2 }), frontiers, (steps, plan) => {
      const log = logOf(itemsOf(steps))
      const [stored, plain] = [new StoredPartitions(1), new PlainState()]
      const rows = rowsInBatches(log, plan, stored)
      for (const expected of rowsOneByOne(log, plain)) {
        assert.deepEqual(rows.get(expected.offset), expected)
      }
      const { newestEventMs } = stored.progress[0] ?? { newestEventMs: -1 }
      assertMessages(stored, plain, newestEventMs)
      assert.deepEqual(finalState(stored), plainState(plain))
    }),
  )
})

test('nor where hours are crowded and a card has more events than are kept singly', () => {
  holdsForLong(
    6,
    fc.property(stepsOf(crowdedRetries), frontiers, (steps, plan) => {
      const log = logOf(itemsOf(steps))
      const [stored, plain] = [new StoredPartitions(1), new PlainState()]
      const rows = rowsInBatches(log, plan, stored)
      for (const expected of rowsOneByOne(log, plain)) {
        assert.deepEqual(rows.get(expected.offset), expected)
      }
      assert.deepEqual(finalState(stored), plainState(plain))
    }),
  )
})

/** Whether a partition without some guard gets a row of one long stream wrong. */
function isWrong(guards: Guards): boolean {
  const [sample] = fc.sample(fc.tuple(stepsOf(crowdedRetries), frontiers), {
    numRuns: 1,
    seed: SEED,
  })
  assert.ok(sample !== undefined)
  const [steps, plan] = sample
  const log = logOf(itemsOf(steps))
  try {
    const rows = rowsInBatches(log, plan, new StoredPartitions(1), guards)
    return rowsOneByOne(log).some((row) => !isDeepStrictEqual(rows.get(row.offset), row))
  } catch {
    return true
  }
}

test('control: with all guards on the stream comes out right', () => {
  assert.ok(!isWrong({ forgetsFromCommit: true, mergesCommittedOnly: true }))
})

test('control: were cards not to forget what is decided again, rows would be wrong', () => {
  assert.ok(isWrong({ forgetsFromCommit: false, mergesCommittedOnly: true }))
})

test('control: were events merged before they are committed, rows would be wrong', () => {
  assert.ok(isWrong({ forgetsFromCommit: true, mergesCommittedOnly: false }))
})

test('control: were offsets not looked at, entities would count what was written before a crash', () => {
  const [steps] = fc.sample(stepsOf({ stepsMin: 30, stepsMax: 30, cards: 30, terminals: 1 }), {
    numRuns: 1,
    seed: 42,
  })
  assert.ok(steps !== undefined)
  const { entries } = logOf(itemsOf(steps))
  const { parts } = new PlainState()
  const rowsOf = (taken: readonly Entry[]): readonly (readonly number[])[] => {
    // Cards begin anew, entities are as they were written.
    const state = new PlainState()
    for (const [key, part] of parts) state.parts.set(key, part)
    const rows = foldEntries([], taken, 0, openFold(PARTITION_START), state)
    for (const [key, part] of state.parts) parts.set(key, part)
    return rows.map(({ row }) => row)
  }
  const first = rowsOf(entries)
  assert.deepEqual(rowsOf(entries), first, 'the same offsets see the same')
  // Later offsets see everything that is stored, as a reader without the filter would.
  assert.notDeepEqual(
    rowsOf(entries.map((entry) => ({ ...entry, offset: entry.offset + 99 }))),
    first,
  )
})
