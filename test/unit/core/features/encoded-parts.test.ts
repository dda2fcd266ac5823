// Goal: bytes that are kept between encodings never differ from what the card holds by now. Method: two histories of the
// same events, compacted alike; one is encoded each time with what it has kept, the other without.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../../services/core/features/state/bytes.ts'
import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { decodeCard } from '../../../../services/core/features/state/card-decoding.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { encodeCard } from '../../../../services/core/features/state/card-layouts.ts'
import { compileFeaturePlan } from '../../../../services/core/features/engine/feature-plan.ts'
import { FEATURES } from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../../../services/core/features/state/entity-layouts.ts'
import { ENTITY_STRIDE } from '../../../../services/core/features/state/entity-event.ts'
import { EntityPart } from '../../../../services/core/features/state/entity-part.ts'
import { EntityReading } from '../../../../services/core/features/engine/entity-reading.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../services/core/features/catalogue/time.ts'
import { holds } from '../../../support/property.ts'
import { PLAIN_EVENT } from './plain-event.ts'

const START_MS = Date.UTC(2020, 0, 1)

function eventAt(timeMs: number, offset: number): CardEvent {
  return {
    ...PLAIN_EVENT,
    ...{ timeMs, offset, amountMinor: 100 + (offset % 97), idRef: offset + 1 },
    ...{ merchantRef: 1 + (offset % 7), terminalRef: 1 + (offset % 5), cardHash: 1 },
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
    fresh.encoded = null
    const layout = offset % 3 === 0 ? 3 : 2
    assert.deepEqual(encodeCard(kept, layout, writer), encodeCard(fresh, layout, writer))
    bucketsSeen = Math.max(bucketsSeen, kept.buckets.length)
  }
  assert.ok(bucketsSeen > 100 && kept.buckets.length < bucketsSeen)
})

/** One step of a card or an entity: how much later an event comes, or what happens between batches. */
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('event' as const), sinceMs: fc.nat(DAY_MS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('late' as const), sinceMs: fc.nat(2 * DAY_MS) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('outcome' as const), back: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), back: fc.nat(3) }) },
)

test('whatever happens to a card between two encodings, kept bytes are what it holds', () => {
  const writer = new ByteWriter()
  const steps = fc.array(step, { minLength: 10, maxLength: 120, size: 'max' })
  holds(
    60,
    fc.property(steps, fc.boolean(), (all, isWide) => {
      const [kept, fresh] = [new CardHistory(), new CardHistory()]
      const columns = { references: new Set<never>(), places: false, localTime: false }
      let timeMs = START_MS
      let offset = 0
      for (const [index, each] of all.entries()) {
        for (const history of [kept, fresh]) {
          if (each.kind === 'event' || each.kind === 'late') {
            const atMs = each.kind === 'event' ? timeMs + each.sinceMs : timeMs - each.sinceMs
            const record = Buffer.from(`message ${offset}`)
            const event = { ...eventAt(atMs, offset), record, intentRef: 1 + (offset % 11) }
            history.insert(event, false, isWide ? undefined : columns)
          } else if (each.kind === 'outcome') history.setOutcome(offset - each.back, 2)
          else if (each.kind === 'compact') history.compact(offset - each.back)
          else history.forgetFrom(offset - each.back)
        }
        if (each.kind === 'event') timeMs += each.sinceMs
        if (each.kind === 'event' || each.kind === 'late') offset += 1
        if (index % 2 === 1) continue
        fresh.encoded = null
        const value = encodeCard(kept, 2, writer)
        assert.deepEqual(value, encodeCard(fresh, 2, writer))
        const again = decodeCard(value)
        assert.deepEqual([...again.recordsByOffset()], [...kept.recordsByOffset()])
      }
    }),
  )
})

const eventsOf = ({ data, count }: EntityPart): readonly number[] =>
  Array.from(data.subarray(0, count * ENTITY_STRIDE))

test('an entity is stored as it is held, and read as if it held nothing beyond the cut', () => {
  const writer = new ByteWriter()
  const plan = compileFeaturePlan(FEATURES).entities.terminal ?? assert.fail('no terminal')
  const readings = [new EntityReading(plan), new EntityReading(plan)] as const
  const steps = fc.array(step, { minLength: 10, maxLength: 100, size: 'max' })
  let ahead = 0
  holds(
    60,
    fc.property(steps, fc.nat(6), fc.nat(3 * DAY_MS), (all, behind, aheadMs) => {
      const kept = new EntityPart()
      const within: [number, number][] = []
      let timeMs = START_MS
      let offset = 0
      let committed = 0
      for (const each of all) {
        if (each.kind === 'outcome' || each.kind === 'forget') continue
        if (each.kind === 'compact') {
          committed = Math.max(committed, offset - each.back)
          const cut = { nextOffset: committed, labelNextOffset: 0 }
          kept.compact(cut)
        } else {
          const atMs = each.kind === 'event' ? timeMs + each.sinceMs : timeMs - each.sinceMs
          kept.insert(atMs, offset, offset + 1, offset % 13)
          within.push([atMs, offset])
          if (each.kind === 'event') timeMs += each.sinceMs
          offset += 1
        }
        const again = decodeEntityPart(encodeEntityPart(kept, writer))
        assert.deepEqual(eventsOf(again), eventsOf(kept))
        const cut = { nextOffset: Math.max(committed, offset - behind), labelNextOffset: 0 }
        const seen = new EntityPart()
        for (const [ofMs, of] of within)
          if (of < cut.nextOffset) seen.insert(ofMs, of, of + 1, of % 13)
        for (const [at, part] of [kept, seen].entries()) {
          const reading = readings[at] ?? readings[0]
          reading.begin(timeMs - DAY_MS + aheadMs)
          reading.add(part, cut)
          reading.finish()
        }
        if (kept.seenBy(cut, timeMs - DAY_MS) === kept && behind > 0) ahead += 1
        assert.deepEqual(readings[0].groups, readings[1].groups)
        assert.equal(readings[0].distinctCards, readings[1].distinctCards)
        assert.equal(readings[0].isApproximate, readings[1].isApproximate)
      }
    }),
  )
  assert.ok(ahead > 100, `${ahead} times a part was read that held more`)
})
