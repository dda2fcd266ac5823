// No card and no entity takes more than its documented most in the store, whatever happens there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../../../services/core/features/state/bytes.ts'
import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { CARD_RAW_MAX } from '../../../../services/core/features/state/card-limits.ts'
import { encodeCard } from '../../../../services/core/features/state/card-codec.ts'
import { encodeEntityPart } from '../../../../services/core/features/state/entity-codec.ts'
import { EntityPart, LABELS_MAX } from '../../../../services/core/features/state/entity-part.ts'
import { DAY_MS, HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'
import { seededNumbers } from '../../../support/seeded-numbers.ts'

const CARD_BYTES_MAX = 64 * 1_024
const ENTITY_BYTES_MAX = 224 * 1_024

const writer = new ByteWriter()

/** Every field as large as it can be, and every reference a new one. */
function largestEvent(timeMs: number, offset: number): CardEvent {
  const ref = (of: number): number => 2 ** 48 - 1 - 8 * offset - of
  return {
    timeMs,
    offset,
    amountMinor: 10 ** 12,
    idHash: ref(0),
    intentHash: ref(1),
    merchantHash: ref(2),
    terminalHash: ref(3),
    deviceHash: ref(4),
    networkHash: ref(5),
    categoryHash: ref(6),
    categoryCode: 9_999_999,
    countryHash: 676,
    hasPlace: true,
    latitudeE4: -900_000,
    longitudeE4: 1_800_000,
    utcOffsetMinutes: -840,
    presence: 2,
    isDeclined: true,
    cardHash: 1,
  }
}

test('a card of any past stays below its most, crowded or spread out', (t) => {
  let bytesMax = 0
  const pasts: readonly ((index: number) => number)[] = [
    (index) => index,
    (index) => index * 60_000,
    (index) => index * HOUR_MS,
    (index) => (index * 33 * DAY_MS) / CARD_RAW_MAX,
    // The worst: an event in every hour there can be, and then as many as are kept singly.
    (index) => Math.min(index, 1_400) * HOUR_MS + Math.max(0, index - 1_400),
  ]
  for (const past of pasts) {
    const card = new CardHistory()
    let offset = 0
    for (let index = 0; index < 2_000; index += 1) {
      offset += 1_000
      const timeMs = STREAM_START_MS + Math.floor(past(index))
      card.insert(largestEvent(timeMs, offset), false)
      if (index % 50 !== 49) continue
      card.compact(offset + 1)
      bytesMax = Math.max(bytesMax, encodeCard(card, writer).length)
      assert.ok(card.count < CARD_RAW_MAX + 16)
    }
  }
  t.diagnostic(`the largest card has ${bytesMax} bytes`)
  assert.ok(bytesMax <= CARD_BYTES_MAX, `${bytesMax} bytes`)
})

test('an entity of any past stays below its most, crowded or spread out', (t) => {
  const draw = seededNumbers(3)
  let bytesMax = 0
  // 225 s is the worst: just as many an hour as are kept singly.
  for (const gapMs of [1_000, 225_000, HOUR_MS]) {
    const part = new EntityPart()
    let offset = 0
    for (let index = 0; index < 20_000; index += 1) {
      offset += 1_000
      const timeMs = STREAM_START_MS + index * gapMs
      part.insert(timeMs, offset, draw(), draw())
      if (index % 10 === 0) {
        const knownAtMs = timeMs + 30 * DAY_MS
        part.insertLabel({ timeMs, knownAtMs, idHash: offset, labelOffset: offset, isFraud: true })
      }
      if (index % 2_000 !== 1_999) continue
      part.compact({ nextOffset: offset + 1, labelNextOffset: offset + 1 })
      bytesMax = Math.max(bytesMax, encodeEntityPart(part, writer).length)
      assert.ok(part.labels.length <= LABELS_MAX)
    }
  }
  t.diagnostic(`the largest entity has ${bytesMax} bytes in a partition`)
  assert.ok(bytesMax <= ENTITY_BYTES_MAX, `${bytesMax} bytes`)
})

test('an entity where every hour is crowded forgets what is out of reach', () => {
  const part = new EntityPart()
  let offset = 0
  for (let hour = 0; hour < 60 * 24; hour += 1) {
    for (let count = 0; count < 20; count += 1) {
      part.insert(STREAM_START_MS + hour * HOUR_MS, offset, offset, count)
      offset += 1
    }
    part.compact({ nextOffset: offset, labelNextOffset: 0 })
  }
  assert.equal(part.count, 0)
  // 40 days and 4 hours, and the hour of the newest event.
  assert.ok(part.hourlyBuckets.length <= 40 * 24 + 5, `${part.hourlyBuckets.length} hours`)
})
