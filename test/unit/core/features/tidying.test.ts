// Goal: what is read, and what is said of it, does not depend on what was made small before. Method: one past, read before
// and after; each fails without the line that it is about.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { CARD_RAW_MAX } from '../../../../services/core/features/state/card-limits.ts'
import { CardAggregates } from '../../../../services/core/features/engine/card-aggregates.ts'
import {
  ENTITY_COLUMN,
  HOUR_RAW_MAX,
} from '../../../../services/core/features/state/entity-event.ts'
import { EntityPart } from '../../../../services/core/features/state/entity-part.ts'
import { EntityAggregates } from '../../../../services/core/features/engine/entity-aggregates.ts'
import { FEATURE_PLAN } from '../../../../services/core/features/engine/partition-fold.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../services/core/features/catalogue/time.ts'
import { STREAM_START_MS } from '../../../support/feature-streams.ts'
import { PLAIN_EVENT } from './plain-event.ts'

const START_MS = STREAM_START_MS - (STREAM_START_MS % HOUR_MS)

test('a reader whose cut lies below what its owner has committed sees no event beyond it', () => {
  const part = new EntityPart()
  part.insert(START_MS + 10 * HOUR_MS, 100, 1, 1)
  part.insert(START_MS + 20 * HOUR_MS, 101, 2, 2)
  // Late, so it stands between the two.
  part.insert(START_MS + 15 * HOUR_MS, 102, 3, 3)
  const offsets = (): readonly number[] => {
    const seen = part.seenBy({ nextOffset: 102, labelNextOffset: 0 }, START_MS + 18 * HOUR_MS)
    return Array.from({ length: seen.count }, (_, index) => seen.at(index, ENTITY_COLUMN.offset))
  }
  assert.deepEqual(offsets(), [100, 101])
  part.compact({ nextOffset: 103, labelNextOffset: 0 })
  assert.deepEqual(offsets(), [100, 101])
})

test('merged hours that are older than an event outside of all windows make none of them approximate', () => {
  const annotations = [false, true].map((isTidied) => {
    const card = new CardHistory()
    const add = (timeMs: number): void => {
      card.insert({ ...PLAIN_EVENT, timeMs, offset: card.count, idHash: card.count + 1 }, false)
    }
    // Merged by rule; the oldest that counts singly, half an hour outside; and the others.
    for (let index = 0; index < 8; index += 1) add(START_MS + index)
    add(START_MS + 10 * MINUTE_MS)
    for (let index = 1; index < CARD_RAW_MAX; index += 1) add(START_MS + DAY_MS + index)
    if (isTidied) card.compact(card.count)
    assert.equal(card.buckets.length, isTidied ? 1 : 0)
    const reading = new CardAggregates(FEATURE_PLAN.card)
    const timeMs = START_MS + 30 * DAY_MS + 30 * MINUTE_MS
    reading.read(card, { ...PLAIN_EVENT, timeMs, offset: 1_000, idHash: 2_000 })
    return reading.isApproximate
  })
  assert.deepEqual(annotations, [false, false])
})

test('a crowded hour that no reader counts any more makes nothing approximate', () => {
  const annotations = [false, true].map((isTidied) => {
    const part = new EntityPart()
    for (let offset = 0; offset <= HOUR_RAW_MAX; offset += 1) {
      part.insert(START_MS + offset, offset, offset, offset)
    }
    part.insert(START_MS + 60 * DAY_MS, HOUR_RAW_MAX + 1, 99, 1)
    const all = { nextOffset: HOUR_RAW_MAX + 2, labelNextOffset: 0 }
    if (isTidied) part.compact(all)
    const plan = FEATURE_PLAN.entities.terminal ?? assert.fail('no terminal')
    const reading = new EntityAggregates(plan)
    // A window of a day that ended two hours before begins in that hour.
    reading.begin(START_MS + 30 * MINUTE_MS + 2 * HOUR_MS + DAY_MS)
    reading.add(part, all)
    reading.finish()
    return reading.isApproximate
  })
  assert.deepEqual(annotations, [false, false])
})

test('windows that end before what a part still counts are empty, never below nothing', () => {
  // Counted one by one, and by the hour.
  const crowd = HOUR_RAW_MAX + 1
  const cases = [1, crowd].flatMap((inHour) =>
    [false, true].map((isTidied) => ({ inHour, isTidied })),
  )
  const counts = cases.map(({ inHour, isTidied }) => {
    const part = new EntityPart()
    part.insert(START_MS, 0, 1, 1)
    for (let offset = 1; offset <= inHour; offset += 1) {
      part.insert(START_MS + 10 * DAY_MS + offset, offset, 2, 2)
    }
    part.insert(START_MS + 60 * DAY_MS, inHour + 1, 3, 3)
    const all = { nextOffset: inHour + 2, labelNextOffset: 0 }
    if (isTidied) part.compact(all)
    assert.deepEqual(
      [part.count, part.hourlyBuckets.length, part.isSparse],
      isTidied ? [1, 0, true] : [inHour + 2, 0, inHour < crowd],
    )
    const reading = new EntityAggregates(
      FEATURE_PLAN.entities.terminal ?? assert.fail('no terminal'),
    )
    reading.begin(START_MS + 9 * DAY_MS)
    reading.add(part, all)
    reading.finish()
    return reading.groups.flatMap((group) => [...group.counts])
  })
  assert.ok(counts.every(({ length }) => length > 0))
  assert.deepEqual(new Set(counts.flat()), new Set([0]))
})
