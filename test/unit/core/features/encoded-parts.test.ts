// Goal: bytes that are kept between encodings never differ from what the card holds by now. Method: two histories of the
// same events, compacted alike; one is encoded each time with what it has kept, the other without.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../../../services/core/features/bytes.ts'
import type { CardEvent } from '../../../../services/core/features/card-event.ts'
import { CardHistory } from '../../../../services/core/features/card-history.ts'
import { encodeCard } from '../../../../services/core/features/card-layouts.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../services/core/features/time.ts'

const START_MS = Date.UTC(2020, 0, 1)

function eventAt(timeMs: number, offset: number): CardEvent {
  return {
    ...{ timeMs, offset, amountMinor: 100 + (offset % 97), idRef: offset + 1, intentRef: 0 },
    ...{ merchantRef: 1 + (offset % 7), terminalRef: 1 + (offset % 5), deviceRef: 0 },
    ...{ networkRef: 0, categoryRef: 0, countryRef: 0, hasPlace: false, latitudeE4: 0 },
    ...{ longitudeE4: 0, utcOffsetMinutes: 0, presence: 0, isDeclined: false, cardHash: 1 },
    record: null,
  }
}

test('a card is encoded as if nothing of it had been encoded before', () => {
  const writer = new ByteWriter()
  const kept = new CardHistory()
  const fresh = new CardHistory()
  let bucketsSeen = 0
  for (let offset = 0; offset < 1_500; offset += 1) {
    // Dense at first, so that events are merged; then sparse, so that merged hours are forgotten.
    const sinceMs =
      offset < 900 ? offset * 20 * MINUTE_MS : (offset - 900) * 2 * HOUR_MS + 13 * DAY_MS
    for (const history of [kept, fresh]) {
      history.insert(eventAt(START_MS + sinceMs, offset), false)
      history.compact(offset)
    }
    fresh.encoded.forgetAll()
    const layout = offset % 3 === 0 ? 3 : 2
    assert.deepEqual(encodeCard(kept, layout, writer), encodeCard(fresh, layout, writer))
    bucketsSeen = Math.max(bucketsSeen, kept.buckets.length)
  }
  assert.ok(bucketsSeen > 100 && kept.buckets.length < bucketsSeen)
})
