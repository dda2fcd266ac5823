// Lines and stacked areas over time.

import { area, line } from 'd3-shape'
import { timeAxis, valueAxis, type Axis } from './axes.ts'
import type { PanelModel } from './board-model.ts'
import type { TimeRange } from './board-variables.ts'
import { escapeHtml, safeColour } from '../../../services/cli/charts/html.ts'
import type { MarkedMoment, PanelData } from './panel-data.ts'
import { PLOT_SIDE, plotFrame, plotY } from './plot-frame.ts'
import type { Point } from '../../servers/prometheus-api.ts'
import { styledSeries, type StyledSeries } from './series-style.ts'
import { formatValue } from '../../../services/cli/charts/units.ts'

/** Digits behind the point in paths; the plot is 1,000 units wide. */
const PATH_DIGITS = 1
/** A point farther from the one before than this many steps begins anew. */
const GAP_STEPS = 1.5

/** A point with the height at which its layer begins; zero for lines. */
interface Spot {
  readonly timeS: number
  readonly low: number
  readonly high: number
}

interface Layer extends StyledSeries {
  readonly spots: readonly Spot[]
}

/** The figure and its legend as HTML; null when no series has a value. */
export function timeSeriesFigure(
  data: PanelData,
  range: TimeRange,
  moments: readonly MarkedMoment[],
  heightPx: number,
): string | null {
  const { panel } = data
  const series = styledSeries(panel, data.targets).map((each) => ({
    ...each,
    points: withGaps(each.points, data.stepS),
  }))
  if (!series.some(({ points }) => points.some(([, value]) => Number.isFinite(value)))) return null
  const layers = panel.isStacked ? stacked(series) : series.map(asLines)
  const values = valueAxis(
    layers.flatMap(({ spots }) => spots.map(({ high }) => high)),
    panel.unit,
    panel,
  )
  const times = timeAxis(range)
  const limits = panel.showsThresholds ? limitLines(panel, values) : ''
  const content = layers.map((layer) => paths(layer, times, values, panel.isStacked)).join('')
  return (
    plotFrame({
      times,
      values,
      heightPx,
      content: `${content}${limits}`,
      moments,
      label: `${panel.title}: ${layers.map(({ name }) => name).join(', ')}`,
    }) + legend(series, panel)
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

function asLines(series: StyledSeries): Layer {
  const spots = series.points.map(([timeS, value]) => ({ timeS, low: 0, high: value }))
  return { ...series, spots }
}

/** Piles the series up in their order. Where one has no value it adds nothing; where none has one is a gap. */
function stacked(series: readonly StyledSeries[]): readonly Layer[] {
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

function limitLines(panel: PanelModel, values: Axis): string {
  return panel.thresholds
    .map(({ value, color }) => {
      if (value === null) return ''
      const y = plotY(values.place(value))
      const title = `<title>${escapeHtml(formatValue(value, panel.unit))}</title>`
      return `<line class="limit" x1="0" x2="${PLOT_SIDE}" y1="${y}" y2="${y}" stroke="${safeColour(color)}">${title}</line>`
    })
    .join('')
}

function legend(series: readonly StyledSeries[], panel: PanelModel): string {
  const entries = series.map(({ name, points, color, isDashed, unit }) => {
    const last = points.findLast(([, value]) => !Number.isNaN(value))?.[1]
    // A series that holds no number in this range has no line either.
    if (last === undefined) return ''
    const value = formatValue(last, unit, panel.decimals)
    return `<li><i class="${isDashed ? 'dashed' : ''}" style="--c:${safeColour(color)}"></i>${escapeHtml(name)} <b>${escapeHtml(value)}</b></li>`
  })
  const limits = panel.showsThresholds
    ? panel.thresholds.flatMap(({ value, color }) =>
        value === null
          ? []
          : `<li><i class="dashed" style="--c:${safeColour(color)}"></i>limit <b>${escapeHtml(formatValue(value, panel.unit))}</b></li>`,
      )
    : []
  return `<ul class="legend">${[...entries, ...limits].join('')}</ul>`
}
