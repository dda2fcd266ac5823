import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { partitionStatuses, type IngestedRange } from '../../../services/lake/intake.ts'
import { LakeLag } from '../../../services/lake/run-ingest.ts'

const place = { table: 'transactions', partition: 0 } as const

function rangeOf(first: number, oldestMs: number | null): IngestedRange {
  return { ...place, first, next: first + 5, ingested: 5, watermarks: 0, unreadable: 0, oldestMs }
}

test('rows in memory count as lag, from the oldest range with a message', () => {
  const positions = new Map([
    ['transactions/0', 30],
    ['labels/3', 7],
  ])
  deepStrictEqual(
    partitionStatuses(positions, [rangeOf(10, null), rangeOf(20, 500), rangeOf(25, 900)]),
    [
      { ...place, next: 20, oldestUncommittedMs: 500 },
      { table: 'labels', partition: 3, next: 7, oldestUncommittedMs: null },
    ],
  )
})

test('transaction markers alone are not lag', () => {
  const partitions = partitionStatuses(new Map([['transactions/0', 15]]), [rangeOf(10, null)])
  deepStrictEqual(new LakeLag().read(partitions, new Map([['transactions/0', 15]]), 1_000), [
    { ...place, messages: 0, ageMs: 0 },
  ])
})

test('the age of read messages is that of their time stamp, of others since they were seen waiting', () => {
  const lag = new LakeLag()
  const ends = new Map([['transactions/0', 20]])
  const at = (next: number, oldestUncommittedMs: number | null, nowMs: number) =>
    lag.read([{ ...place, next, oldestUncommittedMs }], ends, nowMs)[0]
  deepStrictEqual(at(10, null, 1_000), { ...place, messages: 10, ageMs: 0 })
  deepStrictEqual(at(10, null, 4_000), { ...place, messages: 10, ageMs: 3_000 })
  deepStrictEqual(at(10, 500, 5_000), { ...place, messages: 10, ageMs: 4_500 })
  // The position advanced, so the messages waiting now are new.
  deepStrictEqual(at(15, null, 6_000), { ...place, messages: 5, ageMs: 0 })
  deepStrictEqual(at(20, null, 7_000), { ...place, messages: 0, ageMs: 0 })
  ends.set('transactions/0', 21)
  deepStrictEqual(at(20, null, 9_000), { ...place, messages: 1, ageMs: 0 })
})

test('a clock behind the broker gives no negative age', () => {
  const standing = { ...place, next: 1, oldestUncommittedMs: 2_000 }
  deepStrictEqual(new LakeLag().read([standing], new Map([['transactions/0', 2]]), 1_000), [
    { ...place, messages: 1, ageMs: 0 },
  ])
})
