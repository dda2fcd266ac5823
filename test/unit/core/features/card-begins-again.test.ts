// Goal: a partition that begins again finds a card as the log below its offset makes it, annotations of retries included. Method: one
// card, crowded, with late events and intents that come again; commits, tidying and crashes anywhere; an oracle that
// folds the same stretch of the log once and in order. What is behind is refused, as the fold does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../../services/core/features/state/bytes.ts'
import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { decodeCard, encodeCard } from '../../../../services/core/features/state/card-codec.ts'
import { CARD_RAW_MAX } from '../../../../services/core/features/state/card-limits.ts'
import { LATENESS_MS } from '../../../../services/core/features/catalogue/time.ts'
import { HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'
import { normalCard } from '../../../support/normal-state.ts'
import { holdsForLong } from '../../../support/property.ts'
import { PLAIN_EVENT } from './plain-event.ts'

const writer = new ByteWriter()
const START_MS = STREAM_START_MS

function eventAt(offset: number, timeMs: number, intentHash: number): CardEvent {
  return { ...PLAIN_EVENT, timeMs, offset, idHash: offset + 1, intentHash }
}

function fold(history: CardHistory, event: CardEvent): void {
  if (event.timeMs < history.newestMs - LATENESS_MS) return
  history.insert(event, history.isRetry(event.timeMs, event.idHash, event.intentHash))
}

/** As stored and read back. */
function stored(history: CardHistory): CardHistory {
  return decodeCard(encodeCard(history, writer))
}

function assertSame(history: CardHistory, events: readonly CardEvent[], nextOffset: number): void {
  const whole = new CardHistory()
  for (const event of events) if (event.offset < nextOffset) fold(whole, event)
  assert.deepEqual(normalCard(stored(history)), normalCard(whole))
}

/** Some of a crowd of the same few minutes, and some around it by as much as anything reaches. */
const places = fc.record({
  gapMs: fc.oneof({ weight: 30, arbitrary: fc.nat(20) }, fc.nat(30 * HOUR_MS)),
  lateMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.nat(3_000), fc.nat(80 * HOUR_MS)),
  intentHash: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 40 })),
})

const runs = fc.record({
  events: fc
    .array(places, { minLength: CARD_RAW_MAX, maxLength: CARD_RAW_MAX + 160, size: 'max' })
    .map((all) => {
      let newestMs = START_MS
      return all.map(({ gapMs, lateMs, intentHash }, offset) => {
        newestMs += gapMs
        return eventAt(offset, newestMs - lateMs, intentHash)
      })
    }),
  /** How many are taken before each commit, and how many of them are folded once more after a crash. */
  commits: fc.array(
    fc.record({ taken: fc.integer({ min: 1, max: 200 }), lost: fc.nat(60), atOnce: fc.nat(16) }),
    { minLength: 2, maxLength: 8 },
  ),
})

test('what was folded beyond the commit and dropped has left nothing behind', () => {
  holdsForLong(
    60,
    fc.property(runs, ({ events, commits }) => {
      let history = new CardHistory()
      let next = 0
      for (const { taken, lost, atOnce } of commits) {
        const committed = Math.min(events.length, next + taken)
        for (const event of events.slice(next, committed)) fold(history, event)
        history.compact(committed, atOnce)
        // Written, and never committed.
        for (const event of events.slice(committed, committed + lost)) fold(history, event)
        history.compact(committed, atOnce)
        history = stored(history)
        history.forgetFrom(committed)
        assertSame(history, events, committed)
        next = committed
      }
    }),
  )
})

/** An attempt and a retry of it, then as many others as make the first one count merged, all within hours. */
const crowd = [
  eventAt(0, START_MS, 7),
  eventAt(1, START_MS + 60_000, 7),
  ...Array.from({ length: CARD_RAW_MAX - 1 }, (_, index) =>
    eventAt(2 + index, START_MS + HOUR_MS + index, 0),
  ),
]

test('a retry stays one when its first attempt is merged and a late attempt of its intent is dropped', () => {
  for (const isTidied of [false, true]) {
    const history = new CardHistory()
    for (const event of crowd) fold(history, event)
    if (isTidied) history.compact(crowd.length, 0)
    assert.equal(history.buckets.length, isTidied ? 1 : 0, 'the first attempt is merged')
    fold(history, eventAt(crowd.length, START_MS + 30_000, 7))
    history.forgetFrom(crowd.length)
    assertSame(history, crowd, crowd.length)
  }
})

test('the same when a late attempt that is merged by now had made it a retry', () => {
  for (const isTidied of [false, true]) {
    const late = [crowd[1], crowd[0], ...crowd.slice(2)].map((event, offset) =>
      eventAt(offset, event?.timeMs ?? 0, event?.intentHash ?? 0),
    )
    const history = new CardHistory()
    for (const event of late) fold(history, event)
    if (isTidied) history.compact(late.length, 0)
    fold(history, eventAt(late.length, START_MS + 30_000, 7))
    history.forgetFrom(late.length)
    assertSame(history, late, late.length)
  }
})
