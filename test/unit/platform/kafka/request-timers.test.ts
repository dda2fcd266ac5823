// Goal: kafkajs' request queues set no timer while nothing waits in them, and none with a negative delay.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import {
  scheduleIn,
  waitOnlyWhenPending,
  type RequestQueue,
} from '../../../../services/platform/kafka/request-timers.ts'

const kafkajs = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
  prototype: RequestQueue
}
// Before this process wraps it.
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with a queue as `this`
const asPublished = kafkajs.prototype.scheduleCheckPendingRequests

/** A queue of requests, throttled until a time. */
function queueOf(pending: readonly unknown[], throttledUntil: number) {
  const checks: number[] = []
  const queue: RequestQueue = {
    pending,
    throttledUntil,
    throttleCheckTimeoutId: null,
    checkPendingRequests: () => checks.push(Date.now()),
    scheduleCheckPendingRequests: () => undefined,
  }
  return { queue, checks }
}

test('a queue polls while requests wait, and at the end of a throttling when there is one', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 })
  const { queue, checks } = queueOf(['request'], -1)
  scheduleIn(queue)
  queue.scheduleCheckPendingRequests()
  queue.scheduleCheckPendingRequests()
  t.mock.timers.tick(9)
  deepStrictEqual(checks, [])
  t.mock.timers.tick(1)
  deepStrictEqual(checks, [1_010], 'once, although it was asked for twice')

  const throttled = queueOf(['request'], 1_500)
  scheduleIn(throttled.queue)
  throttled.queue.scheduleCheckPendingRequests()
  t.mock.timers.tick(489)
  deepStrictEqual(throttled.checks, [])
  t.mock.timers.tick(1)
  deepStrictEqual(throttled.checks, [1_500])
})

test('a queue in which nothing waits sets no timer, where the published one sets a negative one', (t) => {
  const delays: number[] = []
  t.mock.method(globalThis, 'setTimeout', (_: () => void, delay: number) => delays.push(delay))
  const { queue } = queueOf([], -1)
  scheduleIn(queue)
  queue.scheduleCheckPendingRequests()
  deepStrictEqual(delays, [])
  asPublished.call(queueOf([], -1).queue)
  ok(delays.length === 1 && delays.every((delay) => delay < 0))
})

test('every client of this process is treated so', () => {
  waitOnlyWhenPending()
  strictEqual(kafkajs.prototype.scheduleCheckPendingRequests === asPublished, false)
})
