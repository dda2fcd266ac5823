import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DecidedTail } from '../../../../services/scorer/recovery/decided-tail.ts'

const START = { nextOffset: 10, labelNextOffset: 1 }

function batch(from: number, count: number) {
  const entries = Array.from({ length: count }, (_, index) => ({
    kind: 'watermark' as const,
    offset: from + index,
    timeMs: 0,
  }))
  return { entries, labels: [], nextOffset: from + count, labelNextOffset: 1 }
}

test('batches leave in the order in which they came, and the start moves with them', () => {
  const tail = new DecidedTail(START, 100)
  deepStrictEqual([tail.start, tail.first], [START, null])
  const [first, second] = [batch(10, 5), batch(15, 5)]
  tail.push(first)
  tail.push(second)
  deepStrictEqual(tail.start, START)
  strictEqual(tail.first, first)
  tail.done(first)
  strictEqual(tail.first, second)
  deepStrictEqual(tail.start, { nextOffset: 15, labelNextOffset: 1 })
  tail.done(second)
  deepStrictEqual([tail.start.nextOffset, tail.first, tail.messageCount], [20, null, 0])
})

test('what does not fit is left to the log, oldest first', () => {
  const tail = new DecidedTail(START, 20)
  tail.push(batch(10, 8))
  tail.push(batch(18, 8))
  const last = batch(26, 8)
  tail.push(last)
  strictEqual(tail.start.nextOffset, 18)
  tail.push(batch(34, 30))
  deepStrictEqual([tail.start.nextOffset, tail.first], [64, null])
})

test('a batch that was let go meanwhile is not taken for the one after it', () => {
  const tail = new DecidedTail(START, 12)
  const first = batch(10, 8)
  tail.push(first)
  const second = batch(18, 8)
  tail.push(second)
  tail.done(first)
  strictEqual(tail.first, second)
})

test('batches without messages have a bound, too', () => {
  const tail = new DecidedTail(START, 5)
  for (let index = 0; index < 50; index += 1) tail.push(batch(10, 0))
  strictEqual(tail.messageCount, 5)
})
