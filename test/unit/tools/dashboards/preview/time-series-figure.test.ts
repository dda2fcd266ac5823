import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { withGaps } from '../../../../../services/cli/charts/lines-figure.ts'
import { timeSeriesFigure } from '../../../../../tools/dashboards/preview/time-series-figure.ts'
import { sampleData, sampleOverride, sampleSeries } from './dashboard-sample.ts'

const RANGE = { fromS: 1_000, toS: 1_100 }

function figure(...[series, changes]: Parameters<typeof sampleData>): string {
  return timeSeriesFigure(sampleData(series, changes), RANGE, [], 160) ?? ''
}

/** Corners of every line, in the plot's own coordinates of 1,000 by 1,000. */
function linesOf(html: string): readonly string[] {
  return [...html.matchAll(/class="line[^"]*" d="([^"]*)"/g)].map(([, d = '']) => d)
}

test('points land at their time and value', () => {
  const html = figure([
    sampleSeries('a', [
      [1_000, 0],
      [1_010, 5],
      [1_020, 10],
    ]),
  ])
  deepStrictEqual(linesOf(html), ['M0,1000L100,500L200,0'])
})

test('a NaN makes a gap, and so does a step without a point', () => {
  const points = [
    [1_000, 10],
    [1_010, 10],
    [1_020, Number.NaN],
    [1_030, 10],
    [1_040, 10],
  ] as const
  deepStrictEqual(linesOf(figure([sampleSeries('a', points)])), ['M0,0L100,0M300,0L400,0'])
  const absent = points.filter(([, value]) => !Number.isNaN(value))
  deepStrictEqual(linesOf(figure([sampleSeries('a', absent)])), ['M0,0L100,0M300,0L400,0'])
  strictEqual(withGaps(absent, 10).length, 5)
  strictEqual(withGaps(absent, 30).length, 4)
})

test('stacked series stand on each other, and one that is absent for a while adds nothing', () => {
  const html = figure(
    [
      sampleSeries('a', [
        [1_000, 4],
        [1_010, 4],
        [1_020, 4],
      ]),
      sampleSeries('b', [
        [1_000, 6],
        [1_020, 6],
      ]),
    ],
    { isStacked: true },
  )
  deepStrictEqual(linesOf(html), ['M0,600L100,600L200,600', 'M0,0L100,600L200,0'])
})

test('a panel whose series hold no number has no figure', () => {
  strictEqual(timeSeriesFigure(sampleData([]), RANGE, [], 160), null)
  const nothing = sampleData([sampleSeries('a', [[1_000, Number.NaN]])])
  strictEqual(timeSeriesFigure(nothing, RANGE, [], 160), null)
})

test('limits are drawn and named, and only where the panel shows them', () => {
  const series = [sampleSeries('a', [[1_000, 0.01]])]
  const limits = {
    unit: 's',
    softMax: 0.2,
    thresholds: [
      { value: null, color: 'transparent' },
      { value: 0.15, color: '#c0392b' },
    ],
  }
  const shown = figure(series, { ...limits, showsThresholds: true })
  match(shown, /class="limit" x1="0" x2="1000" y1="250" y2="250" stroke="#c0392b"/)
  match(shown, /limit <b>150 ms<\/b>/)
  doesNotMatch(figure(series, limits), /limit/)
})

test('overrides colour and dash the series that they match', () => {
  const html = figure([sampleSeries('block', [[1_000, 1]]), sampleSeries('limit', [[1_000, 2]])], {
    overrides: [
      sampleOverride({ matches: (name) => name === 'block', color: '#c0392b' }),
      sampleOverride({ matches: (name) => name === 'limit', isDashed: true }),
    ],
  })
  match(html, /class="line" d="[^"]*" stroke="#c0392b"><title>block</)
  match(html, /class="line dashed" d="[^"]*" stroke="#3b82c4"><title>limit</)
})

test('the legend says the last value of each series with its unit', () => {
  const html = figure(
    [
      sampleSeries('p99', [
        [1_000, 0.2],
        [1_010, 0.015],
        [1_020, Number.NaN],
      ]),
    ],
    {
      unit: 's',
    },
  )
  match(html, /p99 <b>15 ms<\/b>/)
})

test('a series without a number is not in the legend', () => {
  const html = figure([
    sampleSeries('read', [[1_000, 1]]),
    sampleSeries('claim', [[1_000, Number.NaN]]),
  ])
  match(html, /read <b>1<\/b>/)
  doesNotMatch(html, /claim <b>/)
})

test('series are in the order that people count in', () => {
  const html = figure(
    ['partition 10', 'partition 2'].map((name) => sampleSeries(name, [[1_000, 1]])),
  )
  ok(html.indexOf('partition 2 ') < html.indexOf('partition 10 '))
})

test('a moment is a vertical line that says what happened', () => {
  const data = sampleData([sampleSeries('a', [[1_000, 1]])])
  const moment = { timeS: 1_050, name: 'Model changed', text: 'm-2 wasm', color: '#3b82c4' }
  const html = timeSeriesFigure(data, RANGE, [moment], 160) ?? ''
  match(html, /<line x1="500" x2="500" y1="0" y2="1000"[^>]*><title>Model changed: m-2 wasm</)
})
