// Figures of panels. First the names and colours of their series.

import { type Axis, timeAxis, type TimeRange } from '../../../services/cli/charts/plot-frame.ts'
import { coordinate, escapeHtml, safeColour } from '../../../services/cli/charts/plot-frame.ts'
import { linesFigure } from '../../../services/cli/charts/lines-figure.ts'
import { seriesStyle } from '../../../services/cli/charts/plot-frame.ts'
import { type MarkedMoment, PLOT_SIDE, plotFrame } from '../../../services/cli/charts/plot-frame.ts'
import { formatInScale, formatValue, unitScale } from '../../../services/cli/charts/plot-frame.ts'
import type { Point, Series } from '../../servers/prometheus-api.ts'
import type { PanelModel } from './dashboard-model.ts'
import { fillLegend, type PanelData, type TargetData } from './panel-data.ts'

export interface StyledSeries {
  readonly name: string
  readonly points: readonly Point[]
  readonly color: string
  readonly isDashed: boolean
  readonly unit: string
}

/** Names, colours and units of all series of a panel, in order of targets and then of names. */
export function styledSeries(
  panel: PanelModel,
  targets: readonly TargetData[],
): readonly StyledSeries[] {
  const named = targets.flatMap(({ target, series }) =>
    series
      .map(({ labels, points }) => ({ name: nameOf(target.legend, labels), points }))
      // Numeric order: partition 2 before partition 10.
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })),
  )
  let next = 0
  return named.map(({ name, points }) => {
    const fitting = panel.overrides.filter(({ matches }) => matches(name))
    const own = fitting.findLast(({ color }) => color !== null)?.color ?? null
    const place = own === null ? next++ : 0
    return {
      name,
      points,
      color: own ?? seriesStyle(place).color,
      isDashed: seriesStyle(place).isDashed || fitting.some(({ isDashed }) => isDashed),
      unit: fitting.findLast(({ unit }) => unit !== null)?.unit ?? panel.unit,
    }
  })
}

function nameOf(legend: string, labels: Readonly<Record<string, string>>): string {
  if (legend !== '') return fillLegend(legend, labels)
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

/** Colour of the highest step that the value reaches; null when it reaches none. */
export function thresholdColour(panel: PanelModel, value: number): string | null {
  const reached = panel.thresholds.filter((step) => step.value === null || value >= step.value)
  return reached.at(-1)?.color ?? null
}

// A panel of lines or stacked areas over time.

/** The figure and its legend as HTML; null when no series has a value. */
export function timeSeriesFigure(
  { panel, targets, stepS }: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
  heightPx: number,
): string | null {
  const series = styledSeries(panel, targets).map((each) => ({
    ...each,
    valueText: (value: number) => formatValue(value, each.unit, panel.decimals),
  }))
  const limits = panel.thresholds.flatMap(({ value, color }) =>
    value === null ? [] : [{ value, color, text: formatValue(value, panel.unit) }],
  )
  const { title, isStacked, unit, max, softMax } = panel
  return linesFigure({
    title,
    series,
    isStacked,
    unit,
    max,
    softMax,
    range,
    stepS,
    moments,
    heightPx,
    limits: panel.showsThresholds ? limits : [],
  })
}

// A histogram over time: columns are intervals, rows are buckets, darker is more.

/** Shades of one colour; each is one path, however many cells have it. */
const SHADES = 8
const SHADE_MIN = 0.08
const ROW_LABELS_MAX = 8
/** Share of a cell that is left empty, so that cells are distinct. */
const CELL_GAP = 0.06

interface Bucket {
  /** Upper bound; the last is infinite. */
  readonly le: number
  /** Count of this bucket alone, by time. */
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
      // A point covers the interval that ends with it.
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

// Panels that show current values: one number, bars, a table.

/** One big number as HTML; null when there is none. */
export function statFigure({ panel, targets }: PanelData): string | null {
  const value = styledSeries(panel, targets)[0]?.points.at(-1)?.[1]
  if (value === undefined || Number.isNaN(value)) return null
  const text = panel.words.get(`${value}`) ?? formatValue(value, panel.unit, panel.decimals)
  const color = thresholdColour(panel, value) ?? 'gray'
  return `<p class="big" style="--c:${safeColour(color)}">${escapeHtml(text)}</p>`
}

/** Horizontal bars as HTML, the longest of each query first; null when there are none. */
export function barsFigure({ panel, targets }: PanelData): string | null {
  const rows = targets.flatMap((target) =>
    styledSeries(panel, [target])
      .map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? Number.NaN }))
      .filter(({ value }) => Number.isFinite(value))
      .sort((a, b) => b.value - a.value),
  )
  if (rows.length === 0) return null
  const most = Math.max(...rows.map(({ value }) => value))
  const bars = rows.map(({ name, value }) => {
    const share = coordinate(most > 0 ? (100 * Math.max(0, value)) / most : 0)
    const color = safeColour(thresholdColour(panel, value) ?? 'gray')
    return `<li><span>${escapeHtml(name)}</span><i style="--c:${color};width:${share}%"></i><b>${escapeHtml(formatValue(value, panel.unit, panel.decimals))}</b></li>`
  })
  return `<ul class="ranking">${bars.join('')}</ul>`
}

/** A table as HTML; null when no query has a row. */
export function tableFigure({ panel, targets }: PanelData): string | null {
  const rows = mergedRows(targets)
  if (rows.length === 0) return null
  const head = panel.columns.map(([, heading]) => `<th>${escapeHtml(heading)}</th>`).join('')
  const body = rows.map((row) => {
    const cells = panel.columns.map(([name, heading]) => cell(panel, row.get(name), heading))
    return `<tr>${cells.join('')}</tr>`
  })
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}

function cell(panel: PanelModel, value: string | number | undefined, heading: string): string {
  if (typeof value !== 'number') return `<td>${escapeHtml(value ?? '–')}</td>`
  const unit = panel.overrides.findLast(
    ({ matches, unit }) => unit !== null && matches(heading),
  )?.unit
  return `<td class="number">${escapeHtml(formatValue(value, unit ?? panel.unit, panel.decimals))}</td>`
}

type TableRow = Map<string, string | number>

/** Rows of several queries that agree in all labels that they share become one, as Grafana merges tables. */
export function mergedRows(targets: readonly TargetData[]): readonly TableRow[] {
  const tables = targets
    .filter(({ series }) => series.length > 0)
    .map(({ target, series }) =>
      series.map(({ labels, points }): TableRow => {
        const column = targets.length === 1 ? 'Value' : `Value #${target.refId}`
        return new Map<string, string | number>([
          ...Object.entries(labels),
          [column, points.at(-1)?.[1] ?? Number.NaN],
        ])
      }),
    )
  const shared = [...(tables[0]?.[0]?.keys() ?? [])].filter((name) =>
    tables.every((rows) => rows.every((row) => row.has(name))),
  )
  const merged: TableRow[] = []
  for (const rows of tables) {
    for (const row of rows) {
      const fits = (other: TableRow): boolean =>
        shared.every((name) => other.get(name) === row.get(name)) &&
        [...row.keys()].every((name) => shared.includes(name) || !other.has(name))
      const partner = merged.find(fits)
      if (partner === undefined) merged.push(new Map(row))
      else for (const [name, value] of row) partner.set(name, value)
    }
  }
  return merged.sort((a, b) => sortKey(a, shared).localeCompare(sortKey(b, shared), 'en'))
}

function sortKey(row: TableRow, names: readonly string[]): string {
  return names.map((name) => `${row.get(name) ?? ''}`).join('\0')
}
