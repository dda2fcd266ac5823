import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseDurationMs } from '../../../services/producer/duration.ts'

test('durations are read with their unit, and refused without one', () => {
  const cases: readonly [string, number | null][] = [
    ['500ms', 500],
    ['45s', 45_000],
    ['1.5m', 90_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['7', null],
    ['-1s', null],
    ['1 h', null],
    ['7w', null],
    ['', null],
  ]
  for (const [text, durationMs] of cases) strictEqual(parseDurationMs(text), durationMs, text)
})
