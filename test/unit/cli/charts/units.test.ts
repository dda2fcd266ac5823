import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatValue } from '../../../../services/cli/charts/plot-frame.ts'
import { holds } from '../../../support/property.ts'

test('values are written in the unit of their size', () => {
  for (const [value, unit, written] of [
    [0.0153, 's', '15.3 ms'],
    [0.000_25, 's', '250 µs'],
    [0, 's', '0 s'],
    [1, 's', '1 s'],
    [600, 's', '10 min'],
    [86_400 * 4.5, 's', '4.50 d'],
    [3.5 * 1024 * 1024, 'bytes', '3.50 MiB'],
    [12, 'bytes', '12 B'],
    [0.9931, 'percentunit', '99.3 %'],
    [0.0042, 'percentunit', '0.42 %'],
    [201.4, 'eps', '201 /s'],
    [25_000, 'eps', '25 k /s'],
    [12_345, 'currencyEUR', '€ 12.3 k'],
    [512, 'short', '512'],
    [0.25, 'none', '0.25'],
    [7, 'a unit of tomorrow', '7'],
    [-0.02, 's', '-20 ms'],
  ] as const)
    strictEqual(formatValue(value, unit), written)
})

test('decimals that a panel asks for are kept', () => {
  strictEqual(formatValue(0.991_25, 'percentunit', 2), '99.13 %')
  strictEqual(formatValue(0, 'percentunit', 2), '0.00 %')
  strictEqual(formatValue(-0.000_001, 'percentunit', 1), '0.0 %')
})

test('what is no number is not written as one', () => {
  strictEqual(formatValue(Number.NaN, 's'), '–')
  strictEqual(formatValue(Number.POSITIVE_INFINITY, 's'), '∞')
  strictEqual(formatValue(Number.NEGATIVE_INFINITY, 'short'), '-∞')
})

test('a number and its unit fit beside a plot, whatever they are', () => {
  const unit = fc.constantFrom('s', 'bytes', 'percentunit', 'eps', 'currencyEUR', 'short')
  const value = fc.double({ min: 0, max: 1e11, noNaN: true })
  holds(
    300,
    fc.property(value, unit, (size, kind) => {
      const text = formatValue(size, kind)
      ok(text.length <= 18 && !/NaN|e[+-]|undefined/.test(text), text)
    }),
  )
})
