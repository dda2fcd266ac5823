// What is stored of cards and terminals: read back as written, never read when damaged, and small however much
// happened.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../../services/core/features/bytes.ts'
import {
  CARD_RAW_MAX,
  CardHistory,
  type CardEvent,
} from '../../../../services/core/features/card-history.ts'
import { EntityPart, LABELS_MAX } from '../../../../services/core/features/entity-part.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { DAY_MS, HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'
import { holds } from '../../../support/property.ts'

/** No card may take more in the store, whatever it does. */
const CARD_BYTES_MAX = 48 * 1_024
/** No terminal may take more in the store per lane, whatever happens there. */
const TERMINAL_BYTES_MAX = 160 * 1_024

const reference = fc.integer({ min: 1, max: 2 ** 48 - 1 })
const maybeReference = fc.oneof(fc.constant(0), reference)

const cardEvent: fc.Arbitrary<CardEvent> = fc
  .record({
    timeMs: fc.integer({ min: STREAM_START_MS, max: STREAM_START_MS + 60 * DAY_MS }),
    offset: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.constantFrom(2 ** 40)),
    amountMinor: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.constantFrom(0, 10 ** 12)),
    idRef: reference,
    intentRef: maybeReference,
    deviceRef: maybeReference,
    latitudeE4: fc.integer({ min: -900_000, max: 900_000 }),
    longitudeE4: fc.integer({ min: -1_800_000, max: 1_800_000 }),
    hasPlace: fc.boolean(),
    isRetry: fc.boolean(),
  })
  // What an event without a place has in these fields is not stored.
  .map((event) => (event.hasPlace ? event : { ...event, latitudeE4: 0, longitudeE4: 0 }))

const history = fc
  .tuple(fc.uniqueArray(cardEvent, { selector: ({ offset }) => offset }), fc.nat(1_000))
  .map(([events, committed]) => {
    const card = new CardHistory()
    for (const event of events) card.insert(event)
    for (const [index, event] of events.entries()) {
      card.setOutcome(event.offset, (index % 4) as 0 | 1 | 2 | 3)
    }
    card.compact(committed)
    card.buckets.push({ startMs: STREAM_START_MS, attempts: 3, count: 2, sumMinor: 2 * 10 ** 12 })
    return card
  })

const part = fc
  .tuple(
    fc.array(fc.tuple(fc.nat(50 * DAY_MS), fc.nat(2_000)), { maxLength: 60 }),
    fc.array(fc.tuple(fc.nat(50 * DAY_MS), fc.integer(), reference, fc.boolean())),
    fc.nat(2_000),
  )
  .map(([events, labels, committed]) => {
    const made = new EntityPart()
    for (const [ageMs, offset] of events) made.insert(STREAM_START_MS + ageMs, offset)
    for (const [labelOffset, [ageMs, delayMs, idRef, isFraud]] of labels.entries()) {
      const timeMs = STREAM_START_MS + ageMs
      made.insertLabel({ timeMs, knownAtMs: timeMs + delayMs, idRef, labelOffset, isFraud })
    }
    made.compact({ nextOffset: committed, labelNextOffset: 5 })
    made.crowdedHours.push({ startMs: STREAM_START_MS + 60 * DAY_MS, count: 17 })
    return made
  })

const isCorrupt = (error: unknown): boolean => isSluiceError(error, 'SLUICE_STATE_CORRUPT')

test('a card is read back as it was written', () => {
  holds(
    100,
    fc.property(history, (card) => {
      assert.deepEqual(CardHistory.decode(card.encode(new ByteWriter())), card)
    }),
  )
})

test('a terminal is read back as it was written', () => {
  holds(
    100,
    fc.property(part, (written) => {
      assert.deepEqual(EntityPart.decode(written.encode(new ByteWriter())), written)
    }),
  )
})

test('nothing stored is a card or a terminal without history', () => {
  assert.deepEqual(CardHistory.decode(null), new CardHistory())
  assert.deepEqual(EntityPart.decode(null), new EntityPart())
})

test('a damaged byte or a missing end is always noticed', () => {
  const [card] = fc.sample(history, { numRuns: 1, seed: 7 })
  const [terminal] = fc.sample(part, { numRuns: 1, seed: 7 })
  assert.ok(card !== undefined && terminal !== undefined)
  const values = [
    [card.encode(new ByteWriter()), (bytes: Buffer) => CardHistory.decode(bytes)],
    [terminal.encode(new ByteWriter()), (bytes: Buffer) => EntityPart.decode(bytes)],
    [new CardHistory().encode(new ByteWriter()), (bytes: Buffer) => CardHistory.decode(bytes)],
    [new EntityPart().encode(new ByteWriter()), (bytes: Buffer) => EntityPart.decode(bytes)],
  ] as const
  for (const [value, decode] of values) {
    for (let index = 0; index < value.length; index += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(value)
        damaged[index] = (damaged[index] ?? 0) ^ mask
        assert.throws(() => decode(damaged), isCorrupt, `byte ${index} xor ${mask}`)
      }
      assert.throws(() => decode(value.subarray(0, index)), isCorrupt, `${index} bytes`)
    }
    decode(value)
  }
})

test('an event that is written again at its offset replaces the first', () => {
  const [event] = fc.sample(cardEvent, 1)
  assert.ok(event !== undefined)
  const card = new CardHistory()
  card.insert(event)
  card.insert({ ...event, amountMinor: 7 })
  assert.deepEqual(card.amountsMinor, [7])
  const terminal = new EntityPart()
  terminal.insert(event.timeMs, event.offset)
  terminal.insert(event.timeMs, event.offset)
  assert.equal(terminal.timesMs.length, 1)
})

test('a card with 20,000 payments stays small, crowded or spread out', () => {
  for (const spanMs of [HOUR_MS, DAY_MS, 36 * DAY_MS, 400 * DAY_MS]) {
    const card = new CardHistory()
    let bytesMax = 0
    for (let offset = 0; offset < 20_000; offset += 1) {
      card.insert({
        timeMs: STREAM_START_MS + Math.floor((offset * spanMs) / 20_000),
        offset: offset * 1_000,
        amountMinor: 10 ** 12,
        idRef: 2 ** 48 - 1 - offset,
        intentRef: 2 ** 47 - offset,
        deviceRef: 2 ** 46 - offset,
        latitudeE4: -900_000,
        longitudeE4: 1_800_000,
        hasPlace: true,
        isRetry: false,
      })
      if (offset % 100 !== 99) continue
      card.compact(offset * 1_000 + 1)
      bytesMax = Math.max(bytesMax, card.encode(new ByteWriter()).length)
      assert.ok(card.eventCount <= CARD_RAW_MAX)
    }
    assert.ok(bytesMax <= CARD_BYTES_MAX, `${bytesMax} bytes over ${spanMs} ms`)
  }
})

test('a terminal with 50,000 payments and 5,000 labels stays small, crowded or spread out', () => {
  // 131 days is the worst: just as many an hour as are kept singly.
  for (const spanMs of [HOUR_MS, 30 * DAY_MS, 131 * DAY_MS, 400 * DAY_MS]) {
    const terminal = new EntityPart()
    let bytesMax = 0
    for (let offset = 0; offset < 50_000; offset += 1) {
      const timeMs = STREAM_START_MS + Math.floor((offset * spanMs) / 50_000)
      terminal.insert(timeMs, offset * 1_000)
      if (offset % 10 === 0) {
        const labelOffset = offset * 1_000
        const knownAtMs = timeMs + 7 * DAY_MS
        terminal.insertLabel({ timeMs, knownAtMs, idRef: offset + 1, labelOffset, isFraud: true })
      }
      if (offset % 2_000 !== 1_999) continue
      terminal.compact({ nextOffset: offset * 1_000 + 1, labelNextOffset: offset * 1_000 + 1 })
      bytesMax = Math.max(bytesMax, terminal.encode(new ByteWriter()).length)
      assert.ok(terminal.labels.length <= LABELS_MAX)
    }
    assert.ok(bytesMax <= TERMINAL_BYTES_MAX, `${bytesMax} bytes over ${spanMs} ms`)
  }
})

test('a terminal where every hour is crowded forgets what is out of reach', () => {
  const terminal = new EntityPart()
  let offset = 0
  for (let hour = 0; hour < 60 * 24; hour += 1) {
    for (let count = 0; count < 20; count += 1) {
      terminal.insert(STREAM_START_MS + hour * HOUR_MS, offset)
      offset += 1
    }
    terminal.compact({ nextOffset: offset, labelNextOffset: 0 })
  }
  assert.equal(terminal.timesMs.length, 0)
  // 45 days, the hour of the newest event, and one more.
  assert.ok(terminal.crowdedHours.length <= 45 * 24 + 2, `${terminal.crowdedHours.length} hours`)
})
