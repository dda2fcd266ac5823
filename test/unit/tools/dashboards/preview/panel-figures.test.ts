import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { withGaps } from '../../../../../services/cli/charts/lines-figure.ts'
import {
  barsFigure,
  bucketsOf,
  heatmapFigure,
  mergedRows,
  statFigure,
  tableFigure,
  timeSeriesFigure,
} from '../../../../../tools/dashboards/preview/panel-figures.ts'
import type { Point, Series } from '../../../../../tools/servers/prometheus-api.ts'
import {
  sampleData,
  sampleOverride,
  samplePanel,
  sampleSeries,
  sampleTarget,
} from './dashboard-sample.ts'

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

function bucket(le: string, points: readonly Point[]): Series {
  return { labels: { le }, points }
}

test('cumulative buckets are taken apart, whatever the order they come in', () => {
  const buckets = bucketsOf([
    bucket('+Inf', [[1_010, 10]]),
    bucket('0.1', [[1_010, 7]]),
    bucket('0.5', [[1_010, 9]]),
  ])
  deepStrictEqual(
    buckets.map(({ le, counts }) => [le, counts.get(1_010)]),
    [
      [0.1, 7],
      [0.5, 2],
      [Number.POSITIVE_INFINITY, 1],
    ],
  )
})

test('extrapolation that lets a bucket shrink is no negative count', () => {
  const buckets = bucketsOf([bucket('0.1', [[1_010, 7.02]]), bucket('+Inf', [[1_010, 7]])])
  strictEqual(buckets[1]?.counts.get(1_010), 0)
})

test('a cell lies in the row of its bucket and the column that ends with its time', () => {
  const data = sampleData([bucket('0.5', [[1_010, 8]]), bucket('+Inf', [[1_010, 8]])], {
    type: 'heatmap',
  })
  const html = heatmapFigure(data, RANGE, [], 160) ?? ''
  match(html, /class="cells" fill-opacity="1.00" d="M0,500h94v470h-94z"/)
  match(html, /<span style="bottom:50%">0.5</)
  match(html, /8 per cell/)
})

test('more is darker, and an exponent lifts what is rare into sight', () => {
  const series = [bucket('0.5', [[1_010, 100]]), bucket('+Inf', [[1_010, 101]])]
  const shades = (exponent: number): readonly number[] => {
    const html = heatmapFigure(sampleData(series, { exponent }), RANGE, [], 160) ?? ''
    return [...html.matchAll(/fill-opacity="([\d.]+)"/g)].map(([, opacity]) => Number(opacity))
  }
  const [plainRare = 1, plainMost = 0] = shades(1)
  const [liftedRare = 0] = shades(0.3)
  ok(plainRare < plainMost)
  ok(liftedRare > plainRare)
})

test('a histogram that counted nothing has no figure', () => {
  strictEqual(heatmapFigure(sampleData([]), RANGE, [], 160), null)
  strictEqual(heatmapFigure(sampleData([bucket('0.5', [[1_010, 0]])]), RANGE, [], 160), null)
})

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
