import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { bucketsOf, heatmapFigure } from '../../../../../tools/dashboards/preview/heatmap-figure.ts'
import type { Point, Series } from '../../../../../tools/servers/prometheus-api.ts'
import { sampleData } from './dashboard-sample.ts'

const RANGE = { fromS: 1_000, toS: 1_100 }

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
