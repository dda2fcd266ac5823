import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DueQueue } from '../../../../services/alerts/forward/delivery-schedule.ts'

const CIRCUIT = { failures: 2, openMs: 100, openMsMax: 100 }

function queueOf(ratePerSecondMax: number | null = null): DueQueue<string> {
  return new DueQueue({ circuit: CIRCUIT, ratePerSecondMax })
}

test('what became due first goes first, and what is not due yet says when', () => {
  const queue = queueOf()
  queue.add('late', 50)
  queue.add('first', 10)
  queue.add('second', 10)
  deepStrictEqual(queue.next(0), { kind: 'wait', atMs: 10 })
  for (const item of ['first', 'second', 'late']) {
    deepStrictEqual(queue.next(60), { kind: 'call', item, isProbe: false })
  }
  deepStrictEqual(queue.next(60), { kind: 'wait', atMs: null })
})

test('while the circuit is open nothing goes out, then one; a message that failed goes behind others', () => {
  const queue = queueOf()
  for (const item of ['a', 'b', 'c']) queue.add(item, 0)
  queue.next(0)
  queue.circuit.failed(0, false)
  queue.circuit.failed(0, false)
  queue.add('a', 40)
  deepStrictEqual(queue.next(50), { kind: 'wait', atMs: 100 })
  deepStrictEqual(queue.next(100), { kind: 'call', item: 'b', isProbe: true })
  deepStrictEqual(queue.next(100), { kind: 'wait', atMs: null })
  strictEqual(queue.size, 2)
})

test('in no second more go out than the rate allows, whatever arrives when', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), gaps, (rate, gapsMs) => {
      const queue = queueOf(rate)
      const sentMs: number[] = []
      let nowMs = 0
      const sendUntil = (endMs: number): void => {
        for (;;) {
          const next = queue.next(nowMs)
          if (next.kind === 'call') sentMs.push(nowMs)
          else if (next.atMs === null || next.atMs > endMs) break
          else nowMs = next.atMs
        }
        nowMs = Math.max(nowMs, endMs)
      }
      for (const gapMs of gapsMs) {
        queue.add('x', nowMs)
        sendUntil(nowMs + gapMs)
      }
      sendUntil(nowMs + 100_000)
      strictEqual(sentMs.length, gapsMs.length)
      for (const [index, atMs] of sentMs.entries()) {
        const next = sentMs[index + 1]
        if (next !== undefined) ok(next - atMs >= 1_000 / rate - 1e-6)
      }
    }),
  )
})

test('what is forgotten does not go out', () => {
  const queue = queueOf()
  queue.add('a', 0)
  queue.clear()
  deepStrictEqual(queue.next(10), { kind: 'wait', atMs: null })
})
