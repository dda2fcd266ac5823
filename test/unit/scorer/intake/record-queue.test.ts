import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { partitionOfText } from '../../../../services/core/murmur2.ts'
import { AlignedBatch } from '../../../../services/core/stream/alignment.ts'
import type { Label, Transaction } from '../../../../services/core/transaction.ts'
import { RecordQueue, type InboxOptions } from '../../../../services/scorer/intake/record-queue.ts'
import { DAY_MS, HOUR_MS } from '../../../support/feature-streams.ts'
import { minimalLabel, minimalTransaction } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const TIME_MS = minimalTransaction.eventTimeMs
const NOW_MS = TIME_MS + 1_000
const PARTITION_COUNT = 4
const PARTITION = partitionOfText(minimalTransaction.card, PARTITION_COUNT)
const ELSEWHERE = cardOutside(PARTITION)

const options: InboxOptions = {
  partition: PARTITION,
  partitionCount: PARTITION_COUNT,
  transactionsTopic: 'transactions',
  labelsTopic: 'labels',
  codecs,
  rates: DEFAULT_RATES,
  missingRate: 'dead_letter',
  batchSizeMax: 3,
  alignment: 'live',
  eventAheadMsMax: 60_000,
  hmacKey: 'key',
}

function cardOutside(partition: number): string {
  for (let index = 0; ; index += 1) {
    const card = `card-${index}`
    if (partitionOfText(card, PARTITION_COUNT) !== partition) return card
  }
}

function message(offset: number, value: Buffer | null, timestampMs = NOW_MS) {
  return { key: null, value, offset, timestampMs: timestampMs, headers: undefined, refused: null }
}

function transactionAt(offset: number, fields: Partial<Transaction> = {}, timestampMs = NOW_MS) {
  const value = { ...minimalTransaction, id: `tx-${offset}`, ...fields }
  return message(offset, codecs.transaction.encode(value), timestampMs)
}

function labelAt(offset: number, fields: Partial<Label> = {}) {
  return message(offset, codecs.label.encode({ ...minimalLabel, ...fields }))
}

function watermarkAt(offset: number, timeMs: number) {
  return message(offset, codecs.watermark.encode({ timeMs }))
}

const always = (): boolean => true

test('what is below the next offset is answered already and dropped', () => {
  const inbox = new RecordQueue(options, 5, 2)
  inbox.push('transactions', [transactionAt(3), transactionAt(4), transactionAt(5)])
  inbox.push('transactions', [transactionAt(4), transactionAt(5), transactionAt(6)])
  inbox.push('labels', [labelAt(1), labelAt(2)])
  const taken = inbox.take(NOW_MS, -1, always)
  assert.deepEqual(
    taken?.entries.map(({ offset }) => offset),
    [5, 6],
  )
  assert.deepEqual(
    taken.labels.map(({ offset }) => offset),
    [2],
  )
  assert.deepEqual([taken.firstOffset, taken.nextOffset, taken.labelNextOffset], [5, 7, 3])
  assert.equal(inbox.isEmpty, true)
})

test('a batch of an aligned replay ends before a watermark far beyond where its first transaction found the partition', () => {
  const inbox = new RecordQueue({ ...options, batchSizeMax: 10 }, 0, 0)
  const farMs = TIME_MS + 2 * HOUR_MS
  const jumps = [farMs, farMs + 1, farMs + 30 * DAY_MS].map((timeMs, index) => {
    return watermarkAt(index + 2, timeMs)
  })
  const first = [watermarkAt(0, TIME_MS), transactionAt(1, { eventTimeMs: TIME_MS + 1 })]
  inbox.push('transactions', [...first, ...jumps, transactionAt(5)])
  const offsetsTaken = (newestMs: number): readonly number[] | undefined => {
    const taken = inbox.take(NOW_MS, -1, always, new AlignedBatch(newestMs))
    return taken?.entries.map(({ offset }) => offset)
  }
  assert.deepEqual(offsetsTaken(-1), [0, 1, 2])
  // Watermarks alone never move the others away from a transaction that may be decided again.
  assert.deepEqual(offsetsTaken(farMs), [3, 4, 5])
  const live = new RecordQueue({ ...options, batchSizeMax: 10 }, 0, 0)
  live.push('transactions', [...first, ...jumps])
  assert.equal(live.take(NOW_MS, -1, always)?.entries.length, 5)
})

test('live, what is ahead of the clock is refused though its message says the same time; a replay has no clock', () => {
  const futureMs = NOW_MS + 365 * DAY_MS
  const { eventAheadMsMax } = options
  const messages = [
    transactionAt(0, { eventTimeMs: futureMs }, futureMs),
    transactionAt(1, { eventTimeMs: NOW_MS + eventAheadMsMax + 1 }, futureMs),
    transactionAt(2, { eventTimeMs: NOW_MS + eventAheadMsMax }, futureMs),
  ]
  const outcomes = (alignment: InboxOptions['alignment']) => {
    const inbox = new RecordQueue({ ...options, alignment }, 0, 0)
    inbox.push('transactions', messages)
    const taken = inbox.take(NOW_MS, -1, always)
    return {
      taken: taken?.entries.map(({ offset }) => offset),
      refused: taken?.rejected.map(({ letter, reason }) => [letter.offset, reason]),
    }
  }
  const ahead = 'event_time_ahead'
  assert.deepEqual(outcomes('live'), {
    taken: [2],
    refused: [
      [0, ahead],
      [1, ahead],
    ],
  })
  assert.deepEqual(outcomes('aligned'), { taken: [0, 1, 2], refused: [] })
})

test('every message that cannot be decided is rejected with its reason, and none is lost', () => {
  const ahead = transactionAt(5, { eventTimeMs: NOW_MS + options.eventAheadMsMax + 1 })
  const inbox = new RecordQueue({ ...options, batchSizeMax: 10 }, 0, 0)
  inbox.push('transactions', [
    message(0, Buffer.from('not framed')),
    message(1, null),
    message(2, codecs.label.encode(minimalLabel)),
    transactionAt(3, { card: ELSEWHERE }),
    transactionAt(4, { currency: 'XXX' }),
    ahead,
    transactionAt(6, { eventTimeMs: NOW_MS + options.eventAheadMsMax }),
    transactionAt(7, { amountMinor: -1 }),
  ])
  inbox.push('labels', [labelAt(0, { card: ELSEWHERE }), message(1, Buffer.from([0]))])
  const taken = inbox.take(NOW_MS, -1, always)
  assert.ok(taken !== null)
  const rejected = taken.rejected.map(({ topic, reason, letter }) => [
    topic,
    letter.offset,
    reason,
    letter.reason === reason ? letter.field : 'reasons differ',
  ])
  assert.deepEqual(rejected, [
    ['labels', 0, 'wrong_partition', 'card'],
    ['labels', 1, 'not_framed', null],
    ['transactions', 0, 'not_framed', null],
    ['transactions', 1, 'empty', null],
    ['transactions', 2, 'unexpected_schema', null],
    ['transactions', 3, 'wrong_partition', 'card'],
    ['transactions', 4, 'unknown_currency', 'currency'],
    ['transactions', 5, 'event_time_ahead', 'eventTimeMs'],
    ['transactions', 7, 'out_of_range', 'amountMinor'],
  ])
  assert.deepEqual(
    taken.entries.map(({ offset }) => offset),
    [6],
  )
  assert.deepEqual([taken.nextOffset, taken.labelNextOffset], [8, 2])
})

test('a batch holds at most its size of each topic, and a full queue says so', () => {
  const inbox = new RecordQueue(options, 0, 0)
  const full = 4 * options.batchSizeMax
  for (let offset = 0; offset < full; offset += 1) {
    assert.equal(inbox.isFull('transactions'), false)
    inbox.push('transactions', [transactionAt(offset)])
    inbox.push('labels', [labelAt(offset)])
  }
  assert.equal(inbox.isFull('transactions'), true)
  assert.equal(inbox.isFull('labels'), true)
  const taken = inbox.take(NOW_MS, -1, always)
  assert.equal(taken?.entries.length, options.batchSizeMax)
  assert.equal(taken.labels.length, options.batchSizeMax)
  assert.equal(inbox.isFull('transactions'), false)
})

test('a transaction that is held back stays first until it may go on', () => {
  const inbox = new RecordQueue(options, 0, 0)
  inbox.push('transactions', [
    watermarkAt(0, TIME_MS - 1),
    transactionAt(1),
    watermarkAt(2, TIME_MS),
  ])
  const held = inbox.take(NOW_MS, -1, () => false)
  assert.deepEqual(
    held?.entries.map(({ kind, offset }) => [kind, offset]),
    [['watermark', 0]],
  )
  assert.equal(held.nextOffset, 1)
  assert.equal(
    inbox.take(NOW_MS, -1, () => false),
    null,
  )
  const asked: number[] = []
  const taken = inbox.take(NOW_MS, 77, (eventTimeMs, labelWatermarkMs) => {
    asked.push(eventTimeMs, labelWatermarkMs)
    return true
  })
  assert.deepEqual(asked, [TIME_MS, 77])
  assert.deepEqual(
    taken?.entries.map(({ offset }) => offset),
    [1, 2],
  )
  assert.deepEqual([taken.firstOffset, taken.nextOffset], [1, 3])
})

test('the gate sees the label watermark that was just taken', () => {
  const inbox = new RecordQueue(options, 0, 0)
  inbox.push('labels', [watermarkAt(0, TIME_MS), watermarkAt(1, TIME_MS - 5)])
  inbox.push('transactions', [transactionAt(0)])
  const taken = inbox.take(NOW_MS, -1, (timeMs, watermarkMs) => watermarkMs >= timeMs)
  assert.equal(taken?.entries.length, 1)
  assert.deepEqual(
    taken.labels.map(({ kind }) => kind),
    ['watermark', 'watermark'],
  )
})

test('labels alone make a batch that moves no transaction', () => {
  const inbox = new RecordQueue(options, 7, 0)
  inbox.push('labels', [labelAt(0)])
  const taken = inbox.take(NOW_MS, -1, always)
  assert.ok(taken !== null)
  assert.deepEqual([taken.firstOffset, taken.nextOffset, taken.labelNextOffset], [7, 7, 1])
  assert.equal(taken.oldestTimestampMs, null)
  assert.equal(inbox.take(NOW_MS, -1, always), null)
})

test('a batch was fetched when its newest transaction was added, also where that is in the middle of what was added', () => {
  const inbox = new RecordQueue(options, 0, 0)
  inbox.push('transactions', [transactionAt(0), transactionAt(1)], 100)
  inbox.push('transactions', [transactionAt(1), transactionAt(2), transactionAt(3)], 200)
  // All of them are already there, so this adds nothing.
  inbox.push('transactions', [transactionAt(2), transactionAt(3)], 300)
  inbox.push('transactions', [transactionAt(4)], 400)
  const fetched = (mayGoOn = always) => inbox.take(NOW_MS, -1, mayGoOn)?.fetchedMs
  assert.equal(fetched(), 200)
  assert.equal(fetched(), 400)
  inbox.push('labels', [labelAt(0)], 500)
  assert.equal(fetched(), null)
  inbox.push('transactions', [transactionAt(5), transactionAt(6)], 600)
  let left = 1
  assert.equal(
    fetched(() => left-- > 0),
    600,
  )
  inbox.push('transactions', [transactionAt(7)], 700)
  assert.equal(fetched(), 700)
})
