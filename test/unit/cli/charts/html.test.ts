import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { coordinate, escapeHtml, safeColour } from '../../../../services/cli/charts/plot-frame.ts'
import { holds } from '../../../support/property.ts'

test('escaped text can neither open a tag nor end an attribute', () => {
  strictEqual(
    escapeHtml(`<b a="1" c='2'>&amp;`),
    '&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;',
  )
  holds(
    200,
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      ok(!/[<>"']/.test(escapeHtml(text)))
    }),
  )
})

test('only plain colours reach a style', () => {
  deepStrictEqual(['#009e73', 'red', 'transparent'].map(safeColour), [
    '#009e73',
    'red',
    'transparent',
  ])
  for (const hostile of ['red;background:url(//example.org)', '"><script>', 'url(x)', ''])
    strictEqual(safeColour(hostile), 'gray')
})

test('coordinates are short and have no exponent', () => {
  deepStrictEqual([0, 1e-9, 333.333, 1_000].map(coordinate), ['0', '0', '333.3', '1000'])
})
