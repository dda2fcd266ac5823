// Lines and stacked areas over time, with a legend.

import { type ScaleLinear, scaleLinear } from 'd3-scale'
import { area, line } from 'd3-shape'
import {
  type Axis,
  type MarkedMoment,
  PLOT_SIDE,
  type TimeRange,
  coordinate,
  escapeHtml,
  plotFrame,
  plotY,
  safeColour,
  timeAxis,
  valueAxis,
} from './plot-frame.ts'

/** Decimals of path coordinates; the plot is 1,000 units wide. */
const PATH_DIGITS = 1
/** A gap of more than this many steps breaks the line. */
const GAP_STEPS = 1.5

/** Seconds since 1970, and a value that may be NaN. */
type Point = readonly [timeS: number, value: number]

interface LineSeries {
  readonly name: string
  readonly points: readonly Point[]
  readonly color: string
  readonly isDashed: boolean
  /** Formats a number for the legend. */
  readonly valueText: (value: number) => string
}

interface LinesFigure {
  readonly title: string
  readonly series: readonly LineSeries[]
  readonly isStacked: boolean
  readonly unit: string
  readonly max: number | null
  readonly softMax: number | null
  /** Horizontal lines across the plot. */
  readonly limits: readonly {
    readonly value: number
    readonly color: string
    readonly text: string
  }[]
  readonly range: TimeRange
  /** Seconds between two points. A longer distance is a gap. */
  readonly stepS: number
  readonly moments: readonly MarkedMoment[]
  readonly heightPx: number
}

/** A point with the height at which its layer begins; zero for lines. */
interface Spot {
  readonly timeS: number
  readonly low: number
  readonly high: number
}

interface Layer extends LineSeries {
  readonly spots: readonly Spot[]
}

/** The figure and its legend as HTML; null when no series has a value. */
export function linesFigure(figure: LinesFigure): string | null {
  const { title, isStacked, unit, limits, range, stepS, moments, heightPx } = figure
  const series = figure.series.map((each) => ({ ...each, points: withGaps(each.points, stepS) }))
  if (!series.some(({ points }) => points.some(([, value]) => Number.isFinite(value)))) return null
  const layers = isStacked ? stacked(series) : series.map(asLines)
  const values = valueAxis(
    layers.flatMap(({ spots }) => spots.map(({ high }) => high)),
    unit,
    figure,
  )
  const times = timeAxis(range)
  const lines = layers.map((layer) => paths(layer, times, values, isStacked))
  const across = limits.map(({ value, color, text }) => {
    const y = plotY(values.place(value))
    return `<line class="limit" x1="0" x2="${PLOT_SIDE}" y1="${y}" y2="${y}" stroke="${safeColour(color)}"><title>${escapeHtml(text)}</title></line>`
  })
  const label = `${title}: ${layers.map(({ name }) => name).join(', ')}`
  const content = [...lines, ...across].join('')
  return (
    plotFrame({ times, values, heightPx, content, moments, label }) + seriesLegend(series, limits)
  )
}

/** Puts a NaN between points that are farther apart than one step, so that the line breaks there. */
export function withGaps(points: readonly Point[], stepS: number): readonly Point[] {
  return points.flatMap((point, index) => {
    const before = points[index - 1]
    const isGap = before !== undefined && point[0] - before[0] > GAP_STEPS * stepS
    return isGap ? [[before[0] + stepS, Number.NaN] as const, point] : [point]
  })
}

function asLines(series: LineSeries): Layer {
  const spots = series.points.map(([timeS, value]) => ({ timeS, low: 0, high: value }))
  return { ...series, spots }
}

/** Stacks the series in their order. A missing value adds nothing; where all are missing there is a gap. */
function stacked(series: readonly LineSeries[]): readonly Layer[] {
  const times = new Set(series.flatMap(({ points }) => points.map(([timeS]) => timeS)))
  const inOrder = [...times].sort((a, b) => a - b)
  const reached = new Map<number, number>()
  const byTime = series.map(({ points }) => new Map(points))
  const isMeasured = (timeS: number): boolean =>
    byTime.some((values) => Number.isFinite(values.get(timeS) ?? Number.NaN))
  const measured = new Set(inOrder.filter(isMeasured))
  return series.map((each, index) => {
    const spots = inOrder.map((timeS) => {
      if (!measured.has(timeS)) return { timeS, low: Number.NaN, high: Number.NaN }
      const low = reached.get(timeS) ?? 0
      const value = byTime[index]?.get(timeS) ?? 0
      const high = low + (Number.isFinite(value) ? value : 0)
      reached.set(timeS, high)
      return { timeS, low, high }
    })
    return { ...each, spots }
  })
}

function paths(layer: Layer, times: Axis, values: Axis, isStacked: boolean): string {
  const x = ({ timeS }: Spot): number => times.place(timeS) * PLOT_SIDE
  const y = (value: number): number => (1 - values.place(value)) * PLOT_SIDE
  const isDefined = ({ high }: Spot): boolean => Number.isFinite(high)
  const color = safeColour(layer.color)
  const title = `<title>${escapeHtml(layer.name)}</title>`
  const fill = area<Spot>()
    .defined(isDefined)
    .x(x)
    .y0(({ low }) => y(low))
    .y1(({ high }) => y(high))
    .digits(PATH_DIGITS)(layer.spots)
  const stroke = line<Spot>()
    .defined(isDefined)
    .x(x)
    .y(({ high }) => y(high))
    .digits(PATH_DIGITS)(layer.spots)
  const filled = isStacked
    ? `<path class="layer" d="${fill ?? ''}" fill="${color}">${title}</path>`
    : ''
  const style = layer.isDashed ? 'line dashed' : 'line'
  return `${filled}<path class="${style}" d="${stroke ?? ''}" stroke="${color}">${title}</path>`
}

function seriesLegend(series: readonly LineSeries[], limits: LinesFigure['limits']): string {
  const entry = (color: string, isDashed: boolean, name: string, text: string): string =>
    `<li><i class="${isDashed ? 'dashed' : ''}" style="--c:${safeColour(color)}"></i>${escapeHtml(name)} <b>${escapeHtml(text)}</b></li>`
  const entries = series.flatMap(({ name, points, color, isDashed, valueText }) => {
    const last = points.findLast(([, value]) => !Number.isNaN(value))?.[1]
    // A series without a number in this range has no line either.
    return last === undefined ? [] : [entry(color, isDashed, name, valueText(last))]
  })
  const across = limits.map(({ color, text }) => entry(color, true, 'limit', text))
  return `<ul class="legend">${[...entries, ...across].join('')}</ul>`
}

// Charts of horizontal rows: fixed size, names at the left, an axis below, colours from the page's style so that light
// and dark both read well.

const CHART_WIDTH = 640
const PLOT_LEFT = 150
const PLOT_RIGHT = CHART_WIDTH - 24
const TOP = 8
const ROW_HEIGHT = 34
const AXIS_HEIGHT = 26
const TICKS = 5
/** Longer names are cut; the table above shows them in full. */
const NAME_CHARACTERS_MAX = 22

export type Scale = ScaleLinear<number, number>

/** One row of a chart per policy. */
interface NamedRow {
  readonly name: string
  /** SVG, drawn around `y`. */
  readonly draw: (y: number) => string
}

/** A scale over the plot's width that has room for all values and for 0. */
export function scaleFor(values: readonly number[]): Scale {
  const low = Math.min(0, ...values)
  const high = Math.max(0, ...values)
  return scaleLinear([low, high > low ? high : low + 1], [PLOT_LEFT, PLOT_RIGHT]).nice(TICKS)
}

/** A chart of horizontal rows over one scale. */
export function rowChart(
  label: string,
  scale: Scale,
  tickText: (value: number) => string,
  rows: readonly NamedRow[],
): string {
  const bottom = TOP + rows.length * ROW_HEIGHT
  const ticks = scale.ticks(TICKS).map((value) => {
    const x = coordinate(scale(value))
    return (
      `<line class="${value === 0 ? 'zero' : 'grid'}" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}"/>` +
      `<text class="tick" x="${x}" y="${bottom + 17}" text-anchor="middle">${escapeHtml(tickText(value))}</text>`
    )
  })
  const drawn = rows.map(({ name, draw }, index) => {
    const y = TOP + (index + 0.5) * ROW_HEIGHT
    return (
      `<text class="name" x="${PLOT_LEFT - 10}" y="${coordinate(y)}" dy="0.35em" text-anchor="end">${escapeHtml(short(name))}</text>` +
      draw(y)
    )
  })
  return (
    `<svg viewBox="0 0 ${CHART_WIDTH} ${coordinate(bottom + AXIS_HEIGHT)}" role="img" aria-label="${escapeHtml(label)}">` +
    `${ticks.join('')}${drawn.join('')}</svg>`
  )
}

interface Bar {
  readonly from: number
  readonly to: number
  readonly y: number
  readonly height: number
  readonly style: string
  /** Shown when the bar is pointed at. */
  readonly title: string
}

/** A bar from one value to another. */
export function bar(scale: Scale, { from, to, y, height, style, title }: Bar): string {
  const [left, right] = [scale(Math.min(from, to)), scale(Math.max(from, to))]
  return (
    `<rect class="${style}" x="${coordinate(left)}" y="${coordinate(y - height / 2)}" ` +
    `width="${coordinate(Math.max(0, right - left))}" height="${coordinate(height)}"><title>${escapeHtml(title)}</title></rect>`
  )
}

/** Coloured squares with their meaning. */
export function legend(entries: readonly (readonly [style: string, text: string])[]): string {
  const items = entries.map(
    ([style, text]) =>
      `<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="${style}" width="12" height="12"/></svg>${escapeHtml(text)}</li>`,
  )
  return `<ul class="legend">${items.join('')}</ul>`
}

function short(name: string): string {
  return name.length > NAME_CHARACTERS_MAX ? `${name.slice(0, NAME_CHARACTERS_MAX - 3)}...` : name
}
