import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { phasesOf } from '../../../../tools/bench/swap-bench.ts'

test('a decision belongs to the time at which its transaction was meant to be sent', () => {
  const at = (intendedMs: number, latencyMs: number) => ({
    intendedMs,
    arrivedMs: intendedMs + latencyMs,
  })
  const swaps = [
    { saidMs: 10_000, doneMs: 10_200 },
    { saidMs: 15_000, doneMs: 18_000 },
  ]
  const seen = [
    at(500, 1), // warm-up
    at(1_000, 2),
    at(9_999, 3),
    at(10_000, 4),
    at(10_999, 5), // a second at least
    at(11_000, 6),
    at(17_999, 7), // as long as it takes
    at(18_000, 8),
  ]
  const { before, during, after } = phasesOf(seen, 1_000, swaps)
  deepStrictEqual(
    [before, during, after].map((each) => [each?.samples, each?.maxMs]),
    [
      [2, 3],
      [3, 7],
      [2, 8],
    ],
  )
  deepStrictEqual(phasesOf([], 0, []), { before: null, during: null, after: null })
})
