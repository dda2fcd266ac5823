// Goal: the page shows the result, whatever the names contain. Method: a report of one row with hostile texts.

import { deepStrictEqual, doesNotMatch, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { reportPage, reportTable } from '../../../../services/cli/backtest/report-page.ts'
import { reportJson } from '../../../../services/cli/backtest/report-rows.ts'
import { HOSTILE, sampleReport } from './report-sample.ts'

test('no text from outside becomes markup, wherever it stands', () => {
  const html = reportPage(sampleReport(HOSTILE))
  doesNotMatch(html, /<script|<img|onerror='/)
  // One style sheet and one title: no name has ended them early.
  strictEqual(html.split('</style>').length, 2)
  strictEqual(html.split('</title></style>').length, 1)
  match(html, /&lt;script&gt;/)
})

test('the page loads nothing from elsewhere and runs nothing', () => {
  const html = reportPage(sampleReport('shop'))
  doesNotMatch(html, /<script|<link|<iframe|@import|url\(|https?:\/\/|\son\w+=/i)
})

test('the page has a chart of alerts, changes, precision, recall, value and days', () => {
  const html = reportPage(sampleReport('shop'))
  const titles = [...html.matchAll(/<section class="panel"><h3>([^<]*)</g)].map(
    ([, title]) => title,
  )
  deepStrictEqual(titles, [
    'Alerts',
    'Changes against live',
    'Precision',
    'Recall',
    'Value, EUR',
    'Alerts by day',
  ])
  doesNotMatch(html, /NaN|undefined|Infinity/)
})

test('without labels there is nothing about truth, and a notice says why', () => {
  const html = reportPage(sampleReport('shop', { isLabelled: false }))
  doesNotMatch(html, /Precision|value saved/)
  match(html, /class="notice">No label is known/)
})

test('control characters of a reason do not reach the terminal', () => {
  const lines = reportTable(sampleReport('shop', { reason: 'red \u001b[31m and\nnext' }))
  const [line = ''] = lines.filter((text) => text.includes('[31m'))
  match(line, /red \?\[31m and\?next/)
})

test('JSON has times in ISO 8601 and money as numbers, as text where no number is exact', () => {
  const report = sampleReport('shop')
  const facts = { ...report.facts, minor: 2n ** 60n }
  const json = JSON.parse(JSON.stringify(reportJson({ ...report, facts }))) as Record<
    string,
    Record<string, unknown>
  >
  deepStrictEqual(json['facts']?.['minor'], String(2n ** 60n))
  deepStrictEqual(json['firstTime'], '2026-01-01T00:00:00.000Z')
  match(JSON.stringify(json['live']), /"savedMinor":-?\d/)
})
