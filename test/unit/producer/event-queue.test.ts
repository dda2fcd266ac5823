import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventQueue } from '../../../services/producer/event-queue.ts'

test('the queue returns the order of a stable sort, however pushes and pops are mixed', () => {
  const step = fc.oneof(
    // Few distinct times, so that ties are common.
    fc.record({ timeMs: fc.integer({ min: 0, max: 8 }) }),
    fc.constant(null),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EventQueue<number>()
      let oracle: { timeMs: number; item: number }[] = []
      for (const [item, push] of steps.entries()) {
        if (push === null) {
          strictEqual(queue.nextTimeMs, oracle[0]?.timeMs ?? Number.POSITIVE_INFINITY)
          strictEqual(queue.pop(), oracle.shift()?.item)
        } else {
          queue.push(push.timeMs, item)
          oracle.push({ timeMs: push.timeMs, item })
          oracle = oracle.toSorted((left, right) => left.timeMs - right.timeMs)
        }
        strictEqual(queue.size, oracle.length)
      }
      const rest: (number | undefined)[] = []
      while (queue.size > 0) rest.push(queue.pop())
      deepStrictEqual(
        rest,
        oracle.map(({ item }) => item),
      )
    }),
  )
})
