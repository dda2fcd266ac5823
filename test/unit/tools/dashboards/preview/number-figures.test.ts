import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  barsFigure,
  mergedRows,
  statFigure,
  tableFigure,
} from '../../../../../tools/dashboards/preview/number-figures.ts'
import type { Series } from '../../../../../tools/servers/prometheus-api.ts'
import {
  sampleData,
  sampleOverride,
  samplePanel,
  sampleSeries,
  sampleTarget,
} from './dashboard-sample.ts'

function row(labels: Readonly<Record<string, string>>, value: number): Series {
  return { labels, points: [[1_000, value]] }
}

test('a number has the colour of the highest step that it reaches', () => {
  const thresholds = [
    { value: null, color: 'green' },
    { value: 0.99, color: 'red' },
  ]
  const figure = (value: number): string | null =>
    statFigure(
      sampleData([sampleSeries('a', [[1_000, value]])], { thresholds, unit: 'percentunit' }),
    )
  strictEqual(figure(0.5), '<p class="big" style="--c:green">50 %</p>')
  strictEqual(figure(0.99), '<p class="big" style="--c:red">99 %</p>')
})

test('a number that has a word is written as the word', () => {
  const words = new Map([['0', 'as expected']])
  match(statFigure(sampleData([sampleSeries('a', [[1_000, 0]])], { words })) ?? '', /as expected/)
})

test('no series, and a value that is no number, are no figure', () => {
  strictEqual(statFigure(sampleData([])), null)
  strictEqual(statFigure(sampleData([sampleSeries('a', [[1_000, Number.NaN]])])), null)
  strictEqual(barsFigure(sampleData([])), null)
  strictEqual(tableFigure(sampleData([])), null)
})

test('bars are sorted, and as long as their share of the longest', () => {
  const html = barsFigure(
    sampleData([sampleSeries('few', [[1_000, 5]]), sampleSeries('many', [[1_000, 20]])]),
  )
  deepStrictEqual(
    [...(html ?? '').matchAll(/<span>(\w+)<\/span><i style="--c:\w+;width:([\d.]+)%/g)].map(
      ([, name, width]) => [name, width],
    ),
    [
      ['many', '100'],
      ['few', '25'],
    ],
  )
})

test('rows of two queries that agree in the labels they share become one', () => {
  const targets = [
    {
      target: sampleTarget({ refId: 'A' }),
      series: [row({ instance: 'b', version: '2' }, 1), row({ instance: 'a', version: '1' }, 1)],
    },
    { target: sampleTarget({ refId: 'B' }), series: [row({ instance: 'a' }, 60)] },
  ]
  deepStrictEqual(
    mergedRows(targets).map((merged) => Object.fromEntries(merged)),
    [
      { instance: 'a', version: '1', 'Value #A': 1, 'Value #B': 60 },
      { instance: 'b', version: '2', 'Value #A': 1 },
    ],
  )
})

test('two rows of one query never become one', () => {
  const series = [row({ instance: 'a', model: '1' }, 1), row({ instance: 'a', model: '2' }, 1)]
  const other = { target: sampleTarget({ refId: 'B' }), series: [row({ instance: 'a' }, 5)] }
  strictEqual(mergedRows([{ target: sampleTarget(), series }, other]).length, 2)
})

test('a table has its columns in order, under their headings, in their units', () => {
  const panel = samplePanel({
    type: 'table',
    columns: [
      ['instance', 'process'],
      ['Value', 'running for'],
      ['version', 'version'],
    ],
    overrides: [sampleOverride({ matches: (name) => name === 'running for', unit: 's' })],
  })
  const targets = [{ target: sampleTarget(), series: [row({ instance: 'a:1' }, 600)] }]
  const html = tableFigure({ panel, targets, stepS: 1, problems: [] }) ?? ''
  match(html, /<th>process<\/th><th>running for<\/th><th>version<\/th>/)
  match(html, /<td>a:1<\/td><td class="number">10 min<\/td><td>–<\/td>/)
})
