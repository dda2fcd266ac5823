// Alerts by day, a line for each policy.

import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import { coordinate, escapeHtml } from '../charts/html.ts'
import { PALETTE } from '../charts/palette.ts'
import { CHART_WIDTH, drawing } from './chart-frame.ts'
import type { Figure } from './charts.ts'
import { count, dayText } from './report-words.ts'
import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'

const LEFT = 52
const RIGHT = CHART_WIDTH - 16
const TOP = 10
const BOTTOM = 210
const HEIGHT = 238
const TICKS = 5
const PATH_DIGITS = 1
/** Days that get a dot each; more would be a smear. */
const DOTS_MAX = 62

type Spot = readonly [day: number, alerts: number]

/** Null when there are rows of one day only. */
export function daysFigure(report: BacktestReport): Figure | null {
  const days = report.facts.days.map(({ day }) => day)
  const [first, last] = [days[0], days.at(-1)]
  if (first === undefined || last === undefined || first === last) return null
  const all = [report.live, ...report.policies]
  const spots = all.map((policy) => spotsOf(policy, days))
  const high = Math.max(1, ...spots.flat().map(([, alerts]) => alerts))
  const x = scaleLinear([first, last], [LEFT, RIGHT])
  const y = scaleLinear([0, high], [BOTTOM, TOP]).nice(TICKS)
  const heights = y
    .ticks(TICKS)
    .filter(Number.isInteger)
    .map((value) => {
      const at = coordinate(y(value))
      return (
        `<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${at}" y2="${at}"/>` +
        `<text class="tick" x="${LEFT - 8}" y="${at}" dy="0.35em" text-anchor="end">${count(value)}</text>`
      )
    })
  const dates = x
    .ticks(TICKS)
    .filter(Number.isInteger)
    .map(
      (day) =>
        `<text class="tick" x="${coordinate(x(day))}" y="${BOTTOM + 19}" text-anchor="middle">${dayText(day).slice(5)}</text>`,
    )
  const path = line<Spot>(
    ([day]) => x(day),
    ([, alerts]) => y(alerts),
  ).digits(PATH_DIGITS)
  const lines = spots.map((own, index) => {
    const name = all[index]?.name ?? ''
    const dots =
      days.length > DOTS_MAX
        ? []
        : own.map(([day, alerts]) =>
            dotAt(x(day), y(alerts), index, `${name}, ${dayText(day)}: ${count(alerts)}`),
          )
    return `<path class="line" stroke="${colourOf(index)}"${dashOf(index)} d="${path(own) ?? ''}"/>${dots.join('')}`
  })
  return {
    title: 'Alerts by day',
    about: 'Blocks and flags by UTC day of the event time.',
    html:
      lineLegend(all) +
      drawing('Alerts by day', HEIGHT, heights.join('') + dates.join('') + lines.join('')),
  }
}

/** Every day that has rows; one without alerts is 0. */
function spotsOf({ days }: ReportedPolicy, all: readonly number[]): readonly Spot[] {
  const alerts = new Map(days.map(({ day, flags, blocks }) => [day, flags + blocks]))
  return all.map((day) => [day, alerts.get(day) ?? 0])
}

function dotAt(x: number, y: number, index: number, title: string): string {
  return `<circle cx="${coordinate(x)}" cy="${coordinate(y)}" r="2.6" fill="${colourOf(index)}"><title>${escapeHtml(title)}</title></circle>`
}

function lineLegend(all: readonly ReportedPolicy[]): string {
  const items = all.map(
    ({ name }, index) =>
      `<li><svg viewBox="0 0 20 12" aria-hidden="true"><line x1="0" x2="20" y1="6" y2="6" stroke="${colourOf(index)}" stroke-width="3"${dashOf(index)}/></svg>${escapeHtml(name)}</li>`,
  )
  return `<ul class="legend lines">${items.join('')}</ul>`
}

function colourOf(index: number): string {
  return PALETTE[index % PALETTE.length] ?? 'gray'
}

function dashOf(index: number): string {
  return index < PALETTE.length ? '' : ' stroke-dasharray="5 4"'
}
