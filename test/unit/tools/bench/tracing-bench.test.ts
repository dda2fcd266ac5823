import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { casesOf } from '../../../../tools/bench/tracing-bench.ts'

test('each run is compared with the run of its own round that had tracing off', () => {
  const times = new Map([
    ['off', [10, 20, 40]],
    ['on', [11, 22, 40]],
  ])
  const cases = casesOf(times, new Map([['on', 3]]))
  deepStrictEqual(
    cases.map((each) => [each.name, each.medianMicrosecondsPerEvent, each.medianRatioToOff]),
    [
      ['off', 20, 1],
      ['on', 22, 1.1],
    ],
  )
  deepStrictEqual(
    cases.map(({ spanRequests }) => spanRequests),
    [0, 3],
  )
})

test('a processor time that cannot be seen makes the figure unknown, never 0', () => {
  const [off] = casesOf(new Map([['off', [null]]]), new Map())
  ok(off !== undefined && Number.isNaN(off.medianRatioToOff))
})
