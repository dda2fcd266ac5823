// Goal: in an aligned replay the rows depend on the log alone (P3). Method: lanes that share terminals progress in
// random order, as far ahead of each other as mayGoOn lets them, with crashes; every bit of every row and every
// mark must be that of one fold over all messages in the order they were sent. Control: without the gate it is not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FEATURE_NAMES } from '../../../../services/core/features/catalogue/feature-list.ts'
import { LANE_START } from '../../../../services/core/features/engine/lane-fold.ts'
import { isLagging, mayGoOn } from '../../../../services/core/stream/alignment.ts'
import type { LaneProgress } from '../../../../services/core/stream/lane-progress.ts'
import {
  dealOut,
  foldAligned,
  foldInOrder,
  withStretches,
  type SentItem,
  type Turn,
} from '../../../support/aligned-lanes.ts'
import {
  DAY_MS,
  HOUR_MS,
  STREAM_START_MS,
  itemsOf,
  labelOf,
  stepsOf,
  type StreamItem,
  type StreamShape,
} from '../../../support/feature-streams.ts'
import { withWatermarks, type StreamEvent } from '../../../../services/producer/index.ts'
import { minimalTransaction } from '../wire/samples.ts'
import { holds } from '../../../support/property.ts'

const LANE_COUNT = 3
const laneOf = (card: string): number => Number(card.slice('card-'.length)) % LANE_COUNT

const turns = fc.array(
  fc.record<Turn>({
    lane: fc.integer({ min: 0, max: LANE_COUNT - 1 }),
    labels: fc.constantFrom(0, 1, 5, 50),
    entries: fc.constantFrom(0, 1, 3, 20, 100),
    looks: fc.constantFrom(true, true, false),
    crashes: fc.constantFrom(false, false, false, true),
  }),
  { maxLength: 80 },
)
const stretchItems = fc.constantFrom(1, 3, 20)

const shapes: Readonly<Record<string, StreamShape>> = {
  'with every edge, late transactions and late labels': {
    stepsMax: 60,
    cards: 2 * LANE_COUNT,
    terminals: 1,
    labelEarliesMs: fc.constantFrom(0, 0, HOUR_MS, 8 * DAY_MS, -1, -2 * DAY_MS),
  },
  'with crowded hours': {
    stepsMin: 150,
    stepsMax: 250,
    cards: 2 * LANE_COUNT,
    terminals: 1,
    labelShare: 0.1,
    gapsMs: fc.oneof(
      { weight: 60, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
      fc.constantFrom(HOUR_MS, 2 * HOUR_MS, DAY_MS, 7 * DAY_MS),
    ),
    backs: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 9 })),
    latesMs: fc.oneof(
      { weight: 30, arbitrary: fc.constant(0) },
      fc.constantFrom(1, HOUR_MS, 3 * HOUR_MS, DAY_MS, 7 * DAY_MS),
    ),
  },
}

for (const [name, shape] of Object.entries(shapes)) {
  test(`lanes in any order that alignment allows give the same rows: streams ${name}`, () => {
    holds(
      (shape.stepsMin ?? 0) >= 100 ? 10 : 100,
      fc.property(stepsOf(shape), stretchItems, turns, (steps, size, plan) => {
        const stream = dealOut(withStretches(itemsOf(steps), size), LANE_COUNT, laneOf)
        const rows = foldAligned(stream, plan, mayGoOn)
        assert.ok(rows !== null, 'no lane may go on')
        for (const [key, expected] of foldInOrder(stream)) {
          assert.deepEqual(rows.get(key), expected, `row ${key}`)
        }
      }),
    )
  })
}

function pay(id: string, card: string, eventTimeMs: number): StreamItem & { kind: 'transaction' } {
  const transaction = { ...minimalTransaction, id, card, terminal: 'terminal-1', eventTimeMs }
  return { kind: 'transaction', transaction }
}

test('a label on an earlier use of an id is the same to a lane, however far the others are', () => {
  const againMs = STREAM_START_MS + 37 * DAY_MS
  const lookMs = againMs + 36 * DAY_MS
  const first = pay('used again', 'card-0', STREAM_START_MS)
  const label = labelOf(first.transaction, STREAM_START_MS + 7 * DAY_MS, 'fraud')
  const items: readonly StreamItem[] = [
    { kind: 'label', label },
    first,
    // Else the next would be a duplicate.
    pay('between', 'card-0', againMs - DAY_MS),
    pay('used again', 'card-0', againMs),
    pay('ahead', 'card-0', lookMs),
    pay('look', 'card-1', lookMs),
  ]
  const stream = dealOut(withStretches(items, 1), 2, (card) => Number(card.slice('card-'.length)))
  const turn = (lane: number, entries: number): Turn => {
    return { lane, labels: 50, entries, looks: true, crashes: false }
  }
  // The look comes before or after the last payment of lane 0, which makes that lane forget the label.
  for (const entries of [7, 8]) {
    const rows = foldAligned(stream, [turn(1, 4), turn(0, entries), turn(1, 1)], mayGoOn)
    assert.deepEqual(rows?.get('1/5'), foldInOrder(stream).get('1/5'), `${entries} of lane 0`)
    assert.equal(rows?.get('1/5')?.row[FEATURE_NAMES.indexOf('terminal_count_30d')], 1)
  }
})

test('a batch that is decided again after a crash finds what the other lanes knew the first time', () => {
  const lookMs = STREAM_START_MS + 33 * DAY_MS
  const items: readonly StreamItem[] = [
    pay('known', 'card-0', STREAM_START_MS),
    pay('look', 'card-1', lookMs),
    pay('far', 'card-0', lookMs + 30 * DAY_MS),
  ]
  const stream = dealOut(withStretches(items, 1), 2, (card) => Number(card.slice('card-'.length)))
  const turn = (lane: number, crashes: boolean): Turn => {
    return { lane, labels: 50, entries: 50, looks: true, crashes }
  }
  // Lane 1 comes to the look, decides it, and crashes; lane 0 goes on as far as it may.
  const plan = [turn(1, false), turn(0, false), turn(1, true), turn(0, false)]
  const rows = foldAligned(stream, plan, mayGoOn)
  assert.deepEqual(rows, foldInOrder(stream))
  assert.equal(rows.get('1/2')?.row[FEATURE_NAMES.indexOf('terminal_count_30d')], 1)
})

test('control: lanes that do not wait for each other give other rows', () => {
  const shape = shapes['with crowded hours']
  assert.ok(shape !== undefined)
  const samples = fc.sample(fc.tuple(stepsOf(shape), turns), { numRuns: 10, seed: 42 })
  const differing = samples.filter(([steps, plan]) => {
    const stream = dealOut(withStretches(itemsOf(steps), 3), LANE_COUNT, laneOf)
    const rows = foldAligned(stream, plan, () => true)
    const expected = foldInOrder(stream)
    return [...expected].some(([key, row]) => {
      return JSON.stringify(rows?.get(key)?.row) !== JSON.stringify(row.row)
    })
  })
  assert.ok(differing.length > 0)
})

test('whatever the producer sends can be replayed: lanes never all wait for each other', async () => {
  const gapsMs = [0, HOUR_MS, 8 * DAY_MS, 40 * DAY_MS]
  for (const gapMs of gapsMs) {
    const source: StreamItem[] = Array.from({ length: 2 * LANE_COUNT }, (_, index) => ({
      kind: 'transaction',
      transaction: {
        ...minimalTransaction,
        id: `tx-${index}`,
        card: `card-${index}`,
        eventTimeMs: STREAM_START_MS + index * gapMs,
        terminal: 'terminal-1',
      },
    }))
    const sent: SentItem[] = []
    for await (const event of withWatermarks(
      source.map((item) => ({ ...item, fraudPattern: null })) as StreamEvent[],
    )) {
      sent.push(event)
    }
    const stream = dealOut(sent, LANE_COUNT, laneOf)
    assert.ok(foldAligned(stream, [], mayGoOn) !== null, `stuck with gaps of ${gapMs} ms`)
  }
})

const lane = (watermarkMs: number, labelWatermarkMs: number): LaneProgress => ({
  ...LANE_START,
  generation: 1,
  nextOffset: 0,
  labelNextOffset: 0,
  watermarkMs,
  labelWatermarkMs,
})

test('a lane goes on once the others are past the hour in which its entity windows end', () => {
  const timeMs = STREAM_START_MS + 30 * 60_000
  const settledMs = STREAM_START_MS - HOUR_MS
  const own = lane(-1, -1)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, lane(settledMs, timeMs)]), true)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, lane(settledMs - 1, timeMs)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, lane(settledMs, timeMs - 1)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs - 1, [own, lane(settledMs, timeMs)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, null]), false)
})

test('another lane lags when it has not come to where the entity windows end', () => {
  const timeMs = STREAM_START_MS
  const at = (newestEventMs: number): LaneProgress => ({ ...lane(-1, -1), newestEventMs })
  assert.equal(isLagging(timeMs, 0, [null, at(timeMs - 2 * HOUR_MS)]), false)
  assert.equal(isLagging(timeMs, 0, [null, at(timeMs - 2 * HOUR_MS - 1)]), true)
  assert.equal(isLagging(timeMs, 0, [at(timeMs), null]), true)
})
