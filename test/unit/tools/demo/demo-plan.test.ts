// Goal: conflicting options are refused by name, and a simulation stays in the past.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { streamTimeMs } from '../../../../services/producer/index.ts'
import { planDemo, type DemoOptions } from '../../../../tools/demo/demo-plan.ts'

const NOW_MS = Date.UTC(2026, 5, 1)

test('without options the simulator runs live at 300 a second, in the past', () => {
  const plan = planDemo({}, NOW_MS)
  deepStrictEqual(plan.pace, { kind: 'rate', perSecond: 300 })
  strictEqual(plan.isAligned, false)
  strictEqual(plan.scorerEnv['SLUICE_ALIGNMENT'], 'live')
  if (plan.source.kind !== 'simulate') throw new Error('It simulates.')
  const [first] = plan.source.events
  if (first === undefined) throw new Error('It has events.')
  ok(streamTimeMs(first) < NOW_MS - 365 * 86_400_000)
})

test('a replay is flat out and aligned unless told otherwise', () => {
  const plan = planDemo({ replay: ['a.csv'] }, NOW_MS)
  deepStrictEqual(plan.pace, { kind: 'flat_out' })
  strictEqual(plan.isAligned, true)
  deepStrictEqual(plan.scorerEnv, { SLUICE_ALIGNMENT: 'aligned', SLUICE_BATCH_SIZE_MAX: '2048' })
  deepStrictEqual(planDemo({ replay: ['a.csv'], rate: 5 }, NOW_MS).pace, {
    kind: 'rate',
    perSecond: 5,
  })
})

test('every demo has names of its own', () => {
  const ids = new Set(Array.from({ length: 100 }, () => planDemo({}, NOW_MS).id))
  strictEqual(ids.size, 100)
  for (const id of ids) ok(/^[0-9a-z]{8}$/.test(id))
})

test('options that do not go together are named', () => {
  const refused: readonly (readonly [DemoOptions, RegExp])[] = [
    [{ exit: true }, /--exit/],
    [{ count: 5, summary: 'x.json' }, /--summary/],
    [{ from: { fromMs: 0, endMs: 1 } }, /--from/],
    [{ labelDelay: 5 }, /--label-delay/],
    [{ replay: ['x'], seed: 1 }, /--seed/],
  ]
  for (const [options, expected] of refused) {
    throws(() => planDemo(options, NOW_MS), { code: 'SLUICE_USAGE', message: expected })
  }
})
