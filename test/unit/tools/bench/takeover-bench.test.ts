import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { stepResult } from '../../../../tools/bench/takeover-bench.ts'

test('a pause is the longest time without a batch within the step, its ends included', () => {
  const times = [[90, 110, 130, 190, 230], [105, 195], []]
  deepStrictEqual(stepResult('kill', times, 100, 200), {
    step: 'kill',
    standstillMs: [60, 90, 100],
    standstillMsMax: 100,
  })
})
