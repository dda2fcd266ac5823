// A histogram over time: columns are intervals, rows are buckets, darker is more.

import { timeAxis, type Axis, type TimeRange } from '../../../services/cli/charts/axes.ts'
import { coordinate } from '../../../services/cli/charts/html.ts'
import { PLOT_SIDE, plotFrame, type MarkedMoment } from '../../../services/cli/charts/plot-frame.ts'
import type { PanelData } from './panel-data.ts'
import type { Series } from '../../servers/prometheus-api.ts'
import { formatInScale, formatValue, unitScale } from '../../../services/cli/charts/units.ts'

/** Shades of one colour; each is one path, however many cells have it. */
const SHADES = 8
const SHADE_MIN = 0.08
const ROW_LABELS_MAX = 8
/** Share of a cell that is left free, so that cells can be told apart. */
const CELL_GAP = 0.06

interface Bucket {
  /** Upper bound; the last is infinite. */
  readonly le: number
  /** How many fell into this bucket alone, by time. */
  readonly counts: ReadonlyMap<number, number>
}

/** The figure with the meaning of its shades as HTML; null when nothing was counted. */
export function heatmapFigure(
  data: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
  heightPx: number,
): string | null {
  const buckets = bucketsOf(data.targets.flatMap(({ series }) => series))
  const most = Math.max(0, ...buckets.flatMap(({ counts }) => [...counts.values()]))
  if (most <= 0) return null
  const times = timeAxis(range)
  const content = cells(buckets, times, data, most)
  const figure = plotFrame({
    times,
    values: bucketAxis(buckets, data.panel.unit),
    heightPx,
    content,
    moments,
    label: `${data.panel.title}: ${buckets.length} buckets over time`,
  })
  const shades = Array.from(
    { length: SHADES },
    (_, shade) => `<i style="opacity:${opacityOf(shade)}"></i>`,
  )
  return `${figure}<div class="shades">0 ${shades.join('')} ${formatValue(Math.round(most), 'short')} per cell</div>`
}

/** Takes the cumulative buckets of Prometheus apart. A count that seems to shrink is extrapolation: zero. */
export function bucketsOf(series: readonly Series[]): readonly Bucket[] {
  const cumulative = series
    .map(({ labels, points }) => ({
      le: labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']),
      points,
    }))
    .filter(({ le }) => !Number.isNaN(le))
    .sort((a, b) => a.le - b.le)
  return cumulative.map(({ le, points }, index) => {
    const below = new Map(cumulative[index - 1]?.points ?? [])
    const counts = points
      .filter(([, value]) => Number.isFinite(value))
      .map(([timeS, value]) => [timeS, Math.max(0, value - (below.get(timeS) ?? 0))] as const)
    return { le, counts: new Map(counts) }
  })
}

/** Rows of one height, with upper bounds at the lines between them. */
function bucketAxis(buckets: readonly Bucket[], unit: string): Axis {
  const every = Math.ceil(buckets.length / ROW_LABELS_MAX)
  const finite = buckets.map(({ le }) => le).filter(Number.isFinite)
  const scale = unitScale(unit, Math.max(0, ...finite))
  const ticks = buckets.flatMap(({ le }, index) =>
    Number.isFinite(le) && (index + 1) % every === 0
      ? [{ place: (index + 1) / buckets.length, label: shortest(le, scale) }]
      : [],
  )
  return { place: (row) => row / buckets.length, ticks: [{ place: 0, label: '0' }, ...ticks] }
}

function shortest(value: number, scale: ReturnType<typeof unitScale>): string {
  const decimals = /\.(\d+)/.exec(`${value / scale.divisor}`)?.[1]?.length ?? 0
  return formatInScale(value, scale, Math.min(4, decimals))
}

function cells(buckets: readonly Bucket[], times: Axis, data: PanelData, most: number): string {
  const width = (times.place(data.stepS) - times.place(0)) * PLOT_SIDE
  const height = PLOT_SIDE / buckets.length
  const shapes = Array.from({ length: SHADES }, () => '')
  for (const [row, { counts }] of buckets.entries()) {
    for (const [timeS, count] of counts) {
      // Less than half an event is extrapolation.
      if (count < 0.5) continue
      const share = (count / most) ** data.panel.exponent
      const shade = Math.min(SHADES - 1, Math.floor(share * SHADES))
      // A point stands for the interval that ends with it.
      const x = Math.max(0, times.place(timeS) * PLOT_SIDE - width)
      const y = PLOT_SIDE - (row + 1) * height
      const w = coordinate(width * (1 - CELL_GAP))
      const h = coordinate(height * (1 - CELL_GAP))
      shapes[shade] = `${shapes[shade] ?? ''}M${coordinate(x)},${coordinate(y)}h${w}v${h}h-${w}z`
    }
  }
  return shapes
    .map((d, shade) =>
      d === '' ? '' : `<path class="cells" fill-opacity="${opacityOf(shade)}" d="${d}"/>`,
    )
    .join('')
}

function opacityOf(shade: number): string {
  return (SHADE_MIN + ((1 - SHADE_MIN) * (shade + 1)) / SHADES).toFixed(2)
}
