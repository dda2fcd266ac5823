import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Circuit } from '../../../../services/alerts/forward/delivery-schedule.ts'

const LIMITS = { failures: 3, openMs: 100, openMsMax: 350 }

/** A circuit that three failures have opened at 0. */
function opened(): Circuit {
  const circuit = new Circuit(LIMITS)
  for (let failure = 0; failure < LIMITS.failures; failure += 1) {
    deepStrictEqual(circuit.admit(0), { isAdmitted: true, isProbe: false })
    circuit.failed(0, false)
  }
  strictEqual(circuit.state, 'open')
  return circuit
}

test('it opens after so many failures in a row, and a success in between starts the count again', () => {
  const circuit = new Circuit(LIMITS)
  for (const isGood of [false, false, true, false, false]) {
    if (isGood) circuit.succeeded(false)
    else circuit.failed(0, false)
  }
  strictEqual(circuit.state, 'closed')
  circuit.failed(0, false)
  strictEqual(circuit.state, 'open')
})

test('open it admits nothing until its time is over, then one probe and nothing beside it', () => {
  const circuit = opened()
  deepStrictEqual(circuit.admit(99), { isAdmitted: false, atMs: 100 })
  deepStrictEqual(circuit.admit(100), { isAdmitted: true, isProbe: true })
  deepStrictEqual(circuit.admit(100), { isAdmitted: false, atMs: null })
  circuit.succeeded(true)
  strictEqual(circuit.state, 'closed')
  deepStrictEqual(circuit.admit(100), { isAdmitted: true, isProbe: false })
})

test('each probe that fails doubles the time, up to the cap; a success brings the first one back', () => {
  const circuit = opened()
  let nowMs = 0
  for (const openMs of [100, 200, 350, 350]) {
    deepStrictEqual(circuit.admit(nowMs + openMs - 1), { isAdmitted: false, atMs: nowMs + openMs })
    nowMs += openMs
    ok(circuit.admit(nowMs).isAdmitted)
    circuit.failed(nowMs, true)
  }
  ok(circuit.admit(nowMs + 350).isAdmitted)
  circuit.succeeded(true)
  for (let failure = 0; failure < LIMITS.failures; failure += 1) circuit.failed(2_000, false)
  deepStrictEqual(circuit.admit(2_050), { isAdmitted: false, atMs: 2_100 })
})

test('calls that were on their way when it opened neither close it nor keep it open for longer', () => {
  const circuit = opened()
  circuit.succeeded(false)
  circuit.failed(50, false)
  deepStrictEqual(circuit.admit(99), { isAdmitted: false, atMs: 100 })
})

test('a probe that is broken off leaves its place to the next one', () => {
  const circuit = opened()
  ok(circuit.admit(100).isAdmitted)
  circuit.withdrawn(true)
  deepStrictEqual(circuit.admit(100), { isAdmitted: true, isProbe: true })
})

test('whatever happens, there is never more than one call while it is not closed, and always a next one', () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 400 }),
    end: fc.constantFrom('succeeded', 'failed', 'withdrawn'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const circuit = new Circuit(LIMITS)
      let nowMs = 0
      for (const { waitMs, end } of steps) {
        nowMs += waitMs
        const first = circuit.admit(nowMs)
        if (!first.isAdmitted) {
          ok(first.atMs !== null && first.atMs > nowMs && first.atMs <= nowMs + LIMITS.openMsMax)
          continue
        }
        if (first.isProbe) ok(!circuit.admit(nowMs).isAdmitted)
        if (end === 'succeeded') circuit.succeeded(first.isProbe)
        else if (end === 'failed') circuit.failed(nowMs, first.isProbe)
        else circuit.withdrawn(first.isProbe)
        ok(circuit.state !== 'half_open')
      }
    }),
  )
})
