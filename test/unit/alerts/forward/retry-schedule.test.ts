import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  delayMsAfter,
  retryAfterMsOf,
  verdictOf,
} from '../../../../services/alerts/forward/delivery-schedule.ts'

const answered = (status: number) => ({ kind: 'answered', status, retryAfterMs: null }) as const

test('every status has one verdict: 2xx is delivered, what may pass is tried again, all else is refused', () => {
  const failed = new Set([408, 425, 429])
  for (let status = 100; status <= 599; status += 1) {
    const isFailure = status >= 500 || failed.has(status)
    const expected = status >= 200 && status < 300 ? 'delivered' : isFailure ? 'failed' : 'rejected'
    strictEqual(verdictOf(answered(status)), expected, String(status))
  }
  strictEqual(verdictOf({ kind: 'timeout' }), 'failed')
  strictEqual(verdictOf({ kind: 'no_connection' }), 'failed')
})

const limits = fc
  .tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 0, max: 3_600_000 }))
  .map(([firstDelayMs, more]) => ({
    attemptsMax: 8,
    firstDelayMs,
    delayMsMax: firstDelayMs + more,
  }))
const failures = fc.integer({ min: 1, max: 10_000 })
const share = fc.double({ min: 0, max: 1, noNaN: true })

test('a wait is anywhere between nothing and its bound, which doubles up to the cap', () => {
  fc.assert(
    fc.property(limits, failures, share, (limit, count, random) => {
      const bound = Math.min(limit.delayMsMax, limit.firstDelayMs * 2 ** (count - 1))
      const delayMs = delayMsAfter(count, limit, random, null)
      ok(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= bound)
      strictEqual(delayMsAfter(count, limit, 0, null), 0)
      strictEqual(delayMsAfter(count, limit, 1, null), bound)
    }),
  )
})

test('what the target asks for is kept to, within the cap', () => {
  fc.assert(
    fc.property(limits, failures, share, fc.nat(7_200_000), (limit, count, random, askedMs) => {
      const delayMs = delayMsAfter(count, limit, random, askedMs)
      ok(delayMs >= Math.min(askedMs, limit.delayMsMax) && delayMs <= limit.delayMsMax)
    }),
  )
})

test('Retry-After is read in seconds and as a date, and is nothing when it is neither', () => {
  const nowMs = Date.parse('2026-01-31T12:00:00Z')
  const cases: readonly (readonly [string | null, number | null])[] = [
    [null, null],
    ['7', 7_000],
    ['0', 0],
    ['-1', null],
    ['1.5', null],
    ['soon', null],
    ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
    ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
    ['2026-01-31', null],
  ]
  deepStrictEqual(
    cases.map(([header]) => retryAfterMsOf(header, nowMs)),
    cases.map(([, expected]) => expected),
  )
})
