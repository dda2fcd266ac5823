import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Pacer, SLEEP_MS_MAX, waitUntilDue } from '../../../services/producer/pacing.ts'
import { ManualClock } from './manual-clock.ts'

const START_MS = 1_800_000_000_000

test('at a rate, intended times are evenly spaced from the start, however late sending is', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 40 }),
      (perSecond, delaysMs) => {
        const clock = new ManualClock(START_MS)
        const pacer = new Pacer({ kind: 'rate', perSecond }, clock)
        for (const [index, delayMs] of delaysMs.entries()) {
          strictEqual(pacer.scheduleTransaction(0), START_MS + (index * 1_000) / perSecond)
          clock.advanceMs(delayMs)
        }
      },
    ),
  )
})

test('at a speed, event time drives the schedule', () => {
  const pacer = new Pacer({ kind: 'speed', factor: 60 }, new ManualClock(START_MS))
  const intended = [1_000, 61_000, 61_000, 3_601_000].map((eventTimeMs) =>
    pacer.scheduleTransaction(eventTimeMs),
  )
  deepStrictEqual(intended, [START_MS, START_MS + 1_000, START_MS + 1_000, START_MS + 60_000])
})

test('flat out, everything is due at once and has the time stamp of sending', () => {
  const clock = new ManualClock(START_MS)
  const pacer = new Pacer({ kind: 'flat_out' }, clock)
  clock.advanceMs(7)
  strictEqual(pacer.scheduleTransaction(0), START_MS + 7)
  strictEqual(pacer.dueInMs, 0)
})

test('unscheduled events have the time stamp of the preceding transaction', () => {
  const pacer = new Pacer({ kind: 'rate', perSecond: 10 }, new ManualClock(START_MS))
  strictEqual(pacer.intendedMs, START_MS)
  pacer.scheduleTransaction(0)
  pacer.scheduleTransaction(0)
  strictEqual(pacer.intendedMs, START_MS + 100)
})

test('waiting sleeps in short slices until the transaction is due, and no longer', async () => {
  const clock = new ManualClock(START_MS)
  const pacer = new Pacer({ kind: 'rate', perSecond: 1 }, clock)
  const slices: number[] = []
  const sleep = (ms: number): Promise<void> => {
    slices.push(ms)
    clock.advanceMs(ms)
    return Promise.resolve()
  }
  pacer.scheduleTransaction(0)
  strictEqual(await waitUntilDue(pacer, sleep, () => false), true)
  deepStrictEqual(slices, [])
  pacer.scheduleTransaction(0)
  clock.advanceMs(100)
  strictEqual(await waitUntilDue(pacer, sleep, () => false), true)
  deepStrictEqual(slices, [SLEEP_MS_MAX, SLEEP_MS_MAX, SLEEP_MS_MAX, 900 - 3 * SLEEP_MS_MAX])
})

test('waiting gives up as soon as the run is stopped', async () => {
  const pacer = new Pacer({ kind: 'rate', perSecond: 1 }, new ManualClock(START_MS))
  pacer.scheduleTransaction(0)
  pacer.scheduleTransaction(0)
  let sleeps = 0
  const sleep = (): Promise<void> => {
    sleeps += 1
    return Promise.resolve()
  }
  strictEqual(await waitUntilDue(pacer, sleep, () => sleeps === 2), false)
})
