// Goal: in an aligned replay the rows depend on the log alone (P3). Method: partitions that share terminals progress in
// random order, as far ahead of each other as mayGoOn allows, with crashes; every bit of every row and every annotation
// must equal one pass over all messages in sending order. Control: without the gate they differ.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FEATURE_NAMES } from '../../../../services/core/features/catalogue/feature-list.ts'
import { PARTITION_START } from '../../../../services/core/features/engine/partition-fold.ts'
import { isLagging, mayGoOn } from '../../../../services/core/stream/alignment.ts'
import type { PartitionProgress } from '../../../../services/core/stream/partition-progress.ts'
import {
  dealOut,
  foldAligned,
  foldInOrder,
  withStretches,
  type SentItem,
  type Turn,
} from '../../../support/aligned-partitions.ts'
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

const PARTITION_COUNT = 3
const partitionOf = (card: string): number => Number(card.slice('card-'.length)) % PARTITION_COUNT

const turns = fc.array(
  fc.record<Turn>({
    partition: fc.integer({ min: 0, max: PARTITION_COUNT - 1 }),
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
    cards: 2 * PARTITION_COUNT,
    terminals: 1,
    labelEarliesMs: fc.constantFrom(0, 0, HOUR_MS, 8 * DAY_MS, -1, -2 * DAY_MS),
  },
  'with crowded hours': {
    stepsMin: 150,
    stepsMax: 250,
    cards: 2 * PARTITION_COUNT,
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
  test(`partitions in any order that alignment allows give the same rows: streams ${name}`, () => {
    holds(
      (shape.stepsMin ?? 0) >= 100 ? 10 : 100,
      fc.property(stepsOf(shape), stretchItems, turns, (steps, size, plan) => {
        const stream = dealOut(withStretches(itemsOf(steps), size), PARTITION_COUNT, partitionOf)
        const rows = foldAligned(stream, plan, mayGoOn)
        assert.ok(rows !== null, 'no partition may go on')
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

test('a label on an earlier use of an id is the same to a partition, however far the others are', () => {
  const againMs = STREAM_START_MS + 37 * DAY_MS
  const lookMs = againMs + 36 * DAY_MS
  const first = pay('used again', 'card-0', STREAM_START_MS)
  const label = labelOf(first.transaction, STREAM_START_MS + 7 * DAY_MS, 'fraud')
  const items: readonly StreamItem[] = [
    { kind: 'label', label },
    first,
    // Otherwise the next one would be a duplicate.
    pay('between', 'card-0', againMs - DAY_MS),
    pay('used again', 'card-0', againMs),
    pay('ahead', 'card-0', lookMs),
    pay('look', 'card-1', lookMs),
  ]
  const stream = dealOut(withStretches(items, 1), 2, (card) => Number(card.slice('card-'.length)))
  const turn = (partition: number, entries: number): Turn => {
    return { partition, labels: 50, entries, looks: true, crashes: false }
  }
  // The payment comes before or after the last one of partition 0, which makes that partition forget the label.
  for (const entries of [7, 8]) {
    const rows = foldAligned(stream, [turn(1, 4), turn(0, entries), turn(1, 1)], mayGoOn)
    assert.deepEqual(rows?.get('1/5'), foldInOrder(stream).get('1/5'), `${entries} of partition 0`)
    assert.equal(rows?.get('1/5')?.row[FEATURE_NAMES.indexOf('terminal_count_30d')], 1)
  }
})

test('a batch that is decided again after a crash finds what the other partitions knew the first time', () => {
  const lookMs = STREAM_START_MS + 33 * DAY_MS
  const items: readonly StreamItem[] = [
    pay('known', 'card-0', STREAM_START_MS),
    pay('look', 'card-1', lookMs),
    pay('far', 'card-0', lookMs + 30 * DAY_MS),
  ]
  const stream = dealOut(withStretches(items, 1), 2, (card) => Number(card.slice('card-'.length)))
  const turn = (partition: number, crashes: boolean): Turn => {
    return { partition, labels: 50, entries: 50, looks: true, crashes }
  }
  // Partition 1 decides the payment, and crashes; partition 0 continues as far as it may.
  const plan = [turn(1, false), turn(0, false), turn(1, true), turn(0, false)]
  const rows = foldAligned(stream, plan, mayGoOn)
  assert.deepEqual(rows, foldInOrder(stream))
  assert.equal(rows.get('1/2')?.row[FEATURE_NAMES.indexOf('terminal_count_30d')], 1)
})

test('control: partitions that do not wait for each other give other rows', () => {
  const shape = shapes['with crowded hours']
  assert.ok(shape !== undefined)
  const samples = fc.sample(fc.tuple(stepsOf(shape), turns), { numRuns: 10, seed: 42 })
  const differing = samples.filter(([steps, plan]) => {
    const stream = dealOut(withStretches(itemsOf(steps), 3), PARTITION_COUNT, partitionOf)
    const rows = foldAligned(stream, plan, () => true)
    const expected = foldInOrder(stream)
    return [...expected].some(([key, row]) => {
      return JSON.stringify(rows?.get(key)?.row) !== JSON.stringify(row.row)
    })
  })
  assert.ok(differing.length > 0)
})

test('whatever the producer sends can be replayed: partitions never all wait for each other', async () => {
  const gapsMs = [0, HOUR_MS, 8 * DAY_MS, 40 * DAY_MS]
  for (const gapMs of gapsMs) {
    const source: StreamItem[] = Array.from({ length: 2 * PARTITION_COUNT }, (_, index) => ({
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
    const stream = dealOut(sent, PARTITION_COUNT, partitionOf)
    assert.ok(foldAligned(stream, [], mayGoOn) !== null, `stuck with gaps of ${gapMs} ms`)
  }
})

const partition = (watermarkMs: number, labelWatermarkMs: number): PartitionProgress => ({
  ...PARTITION_START,
  generation: 1,
  nextOffset: 0,
  labelNextOffset: 0,
  watermarkMs,
  labelWatermarkMs,
})

test('a partition goes on once the others are past the hour in which its entity windows end', () => {
  const timeMs = STREAM_START_MS + 30 * 60_000
  const finalisedMs = STREAM_START_MS - HOUR_MS
  const own = partition(-1, -1)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, partition(finalisedMs, timeMs)]), true)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, partition(finalisedMs - 1, timeMs)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, partition(finalisedMs, timeMs - 1)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs - 1, [own, partition(finalisedMs, timeMs)]), false)
  assert.equal(mayGoOn(timeMs, 0, timeMs, [own, null]), false)
})

test('another partition lags when it has not come to where the entity windows end', () => {
  const timeMs = STREAM_START_MS
  const at = (newestEventMs: number): PartitionProgress => ({ ...partition(-1, -1), newestEventMs })
  assert.equal(isLagging(timeMs, 0, [null, at(timeMs - 2 * HOUR_MS)]), false)
  assert.equal(isLagging(timeMs, 0, [null, at(timeMs - 2 * HOUR_MS - 1)]), true)
  assert.equal(isLagging(timeMs, 0, [at(timeMs), null]), true)
})
