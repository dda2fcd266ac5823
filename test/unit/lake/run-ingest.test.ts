import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { standingsOf, type TakenRange } from '../../../services/lake/intake.ts'
import { LakeLag } from '../../../services/lake/run-ingest.ts'

const place = { table: 'transactions', partition: 0 } as const

function rangeOf(first: number, oldestMs: number | null): TakenRange {
  return { ...place, first, next: first + 5, taken: 5, watermarks: 0, unreadable: 0, oldestMs }
}

test('what is in memory is behind: the oldest range that has a message says from where', () => {
  const positions = new Map([
    ['transactions/0', 30],
    ['labels/3', 7],
  ])
  deepStrictEqual(standingsOf(positions, [rangeOf(10, null), rangeOf(20, 500), rangeOf(25, 900)]), [
    { ...place, next: 20, oldestTakenMs: 500 },
    { table: 'labels', partition: 3, next: 7, oldestTakenMs: null },
  ])
})

test('ends of Kafka transactions alone are not behind', () => {
  const standings = standingsOf(new Map([['transactions/0', 15]]), [rangeOf(10, null)])
  deepStrictEqual(new LakeLag().read(standings, new Map([['transactions/0', 15]]), 1_000), [
    { ...place, messages: 0, ageMs: 0 },
  ])
})

test('taken messages are as old as their time stamp, others as old as they were seen to wait', () => {
  const lag = new LakeLag()
  const ends = new Map([['transactions/0', 20]])
  const at = (next: number, oldestTakenMs: number | null, nowMs: number) =>
    lag.read([{ ...place, next, oldestTakenMs }], ends, nowMs)[0]
  deepStrictEqual(at(10, null, 1_000), { ...place, messages: 10, ageMs: 0 })
  deepStrictEqual(at(10, null, 4_000), { ...place, messages: 10, ageMs: 3_000 })
  deepStrictEqual(at(10, 500, 5_000), { ...place, messages: 10, ageMs: 4_500 })
  // It went on: what waits now was not there before.
  deepStrictEqual(at(15, null, 6_000), { ...place, messages: 5, ageMs: 0 })
  deepStrictEqual(at(20, null, 7_000), { ...place, messages: 0, ageMs: 0 })
  ends.set('transactions/0', 21)
  deepStrictEqual(at(20, null, 9_000), { ...place, messages: 1, ageMs: 0 })
})

test('a clock behind the broker makes nothing younger than now', () => {
  const standing = { ...place, next: 1, oldestTakenMs: 2_000 }
  deepStrictEqual(new LakeLag().read([standing], new Map([['transactions/0', 2]]), 1_000), [
    { ...place, messages: 1, ageMs: 0 },
  ])
})
