import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Breaker } from '../../../../services/alerts/forward/breaker.ts'

const LIMITS = { failures: 3, openMs: 100, openMsMax: 350 }

/** A breaker that three failures have opened at 0. */
function opened(): Breaker {
  const breaker = new Breaker(LIMITS)
  for (let failure = 0; failure < LIMITS.failures; failure += 1) {
    deepStrictEqual(breaker.admit(0), { isAdmitted: true, isProbe: false })
    breaker.failed(0, false)
  }
  strictEqual(breaker.state, 'open')
  return breaker
}

test('it opens after so many failures in a row, and a success in between starts the count again', () => {
  const breaker = new Breaker(LIMITS)
  for (const isGood of [false, false, true, false, false]) {
    if (isGood) breaker.succeeded(false)
    else breaker.failed(0, false)
  }
  strictEqual(breaker.state, 'closed')
  breaker.failed(0, false)
  strictEqual(breaker.state, 'open')
})

test('open it admits nothing until its time is over, then one probe and nothing beside it', () => {
  const breaker = opened()
  deepStrictEqual(breaker.admit(99), { isAdmitted: false, atMs: 100 })
  deepStrictEqual(breaker.admit(100), { isAdmitted: true, isProbe: true })
  deepStrictEqual(breaker.admit(100), { isAdmitted: false, atMs: null })
  breaker.succeeded(true)
  strictEqual(breaker.state, 'closed')
  deepStrictEqual(breaker.admit(100), { isAdmitted: true, isProbe: false })
})

test('each probe that fails doubles the time, up to the cap; a success brings the first one back', () => {
  const breaker = opened()
  let nowMs = 0
  for (const openMs of [100, 200, 350, 350]) {
    deepStrictEqual(breaker.admit(nowMs + openMs - 1), { isAdmitted: false, atMs: nowMs + openMs })
    nowMs += openMs
    ok(breaker.admit(nowMs).isAdmitted)
    breaker.failed(nowMs, true)
  }
  ok(breaker.admit(nowMs + 350).isAdmitted)
  breaker.succeeded(true)
  for (let failure = 0; failure < LIMITS.failures; failure += 1) breaker.failed(2_000, false)
  deepStrictEqual(breaker.admit(2_050), { isAdmitted: false, atMs: 2_100 })
})

test('calls that were on their way when it opened neither close it nor keep it open for longer', () => {
  const breaker = opened()
  breaker.succeeded(false)
  breaker.failed(50, false)
  deepStrictEqual(breaker.admit(99), { isAdmitted: false, atMs: 100 })
})

test('a probe that is broken off leaves its place to the next one', () => {
  const breaker = opened()
  ok(breaker.admit(100).isAdmitted)
  breaker.withdrawn(true)
  deepStrictEqual(breaker.admit(100), { isAdmitted: true, isProbe: true })
})

test('whatever happens, there is never more than one call while it is not closed, and always a next one', () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 400 }),
    end: fc.constantFrom('succeeded', 'failed', 'withdrawn'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const breaker = new Breaker(LIMITS)
      let nowMs = 0
      for (const { waitMs, end } of steps) {
        nowMs += waitMs
        const first = breaker.admit(nowMs)
        if (!first.isAdmitted) {
          ok(first.atMs !== null && first.atMs > nowMs && first.atMs <= nowMs + LIMITS.openMsMax)
          continue
        }
        if (first.isProbe) ok(!breaker.admit(nowMs).isAdmitted)
        if (end === 'succeeded') breaker.succeeded(first.isProbe)
        else if (end === 'failed') breaker.failed(nowMs, first.isProbe)
        else breaker.withdrawn(first.isProbe)
        ok(breaker.state !== 'half_open')
      }
    }),
  )
})
