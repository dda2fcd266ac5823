import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { timeAxis, valueAxis } from '../../../../services/cli/charts/plot-frame.ts'
import { holds } from '../../../support/property.ts'

const NO_LIMITS = { max: null, softMax: null }
const NOON_S = Date.UTC(2026, 0, 15, 12) / 1_000

test('an axis of values starts at zero and ends at a round value above the largest', () => {
  const axis = valueAxis([0.02, 0.087], 's', NO_LIMITS)
  deepStrictEqual(
    axis.ticks.map(({ label }) => label),
    ['0 ms', '20 ms', '40 ms', '60 ms', '80 ms', '100 ms'],
  )
  strictEqual(axis.place(0), 0)
  strictEqual(axis.place(0.05), 0.5)
})

test('ticks are round in the unit that is written, not in the one that is measured', () => {
  const minutes = valueAxis([290], 's', NO_LIMITS)
  deepStrictEqual(
    minutes.ticks.map(({ label }) => label),
    ['0 min', '1 min', '2 min', '3 min', '4 min', '5 min'],
  )
  const memory = valueAxis([230 * 1024 * 1024], 'bytes', NO_LIMITS)
  strictEqual(memory.ticks.at(-1)?.label, '250 MiB')
})

test('an objective is on the axis even when all values are far below it', () => {
  const axis = valueAxis([0.01], 's', { max: null, softMax: 0.165 })
  ok(axis.place(0.15) > 0.5 && axis.place(0.15) <= 1)
})

test('a fixed maximum is kept, and nothing measured still has an axis', () => {
  strictEqual(valueAxis([0.3], 'percentunit', { max: 1, softMax: null }).place(1), 1)
  deepStrictEqual(
    valueAxis([0, Number.NaN], 'none', NO_LIMITS).ticks.map(({ label }) => label),
    ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0'],
  )
})

test('times stand at round moments in UTC', () => {
  const labels = (rangeS: number): readonly string[] =>
    timeAxis({ fromS: NOON_S - rangeS, toS: NOON_S }).ticks.map(({ label }) => label)
  deepStrictEqual(labels(60), ['11:59:00', '11:59:15', '11:59:30', '11:59:45', '12:00:00'])
  deepStrictEqual(labels(180), ['11:57', '11:58', '11:59', '12:00'])
  deepStrictEqual(labels(300), ['11:55', '11:56', '11:57', '11:58', '11:59', '12:00'])
  deepStrictEqual(labels(2 * 86_400), [
    '01-13 12:00',
    '01-14 00:00',
    '01-14 12:00',
    '01-15 00:00',
    '01-15 12:00',
  ])
  strictEqual(labels(5 * 86_400).at(-1), '01-15')
})

test('there are some ticks and not too many, whatever the range', () => {
  const rangeS = fc.integer({ min: 10, max: 90 * 86_400 })
  const toS = fc.integer({ min: 1_000_000_000, max: 2_000_000_000 })
  holds(
    300,
    fc.property(rangeS, toS, (range, end) => {
      const { ticks } = timeAxis({ fromS: end - range, toS: end })
      ok(ticks.length >= 2 && ticks.length <= 7, `${ticks.length} ticks`)
      for (const { place } of ticks) ok(place >= 0 && place <= 1)
    }),
  )
})
