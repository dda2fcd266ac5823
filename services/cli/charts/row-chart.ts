// Charts of horizontal rows: a drawing of fixed size, names at the left, an axis below, colours by the page's own style so
// that light and dark both read well.

import { scaleLinear, type ScaleLinear } from 'd3-scale'
import { coordinate, escapeHtml } from './html.ts'

const CHART_WIDTH = 640
const PLOT_LEFT = 150
const PLOT_RIGHT = CHART_WIDTH - 24
const TOP = 8
const ROW_HEIGHT = 34
const AXIS_HEIGHT = 26
const TICKS = 5
/** Names are cut where the plot begins; the table above has them whole. */
const NAME_CHARACTERS_MAX = 22

export type Scale = ScaleLinear<number, number>

/** One row of a chart for each policy. */
export interface NamedRow {
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

/** A bar from one value to another, with what it says when pointed at. */
export function bar(
  scale: Scale,
  from: number,
  to: number,
  y: number,
  height: number,
  style: string,
  title: string,
): string {
  const [left, right] = [scale(Math.min(from, to)), scale(Math.max(from, to))]
  return (
    `<rect class="${style}" x="${coordinate(left)}" y="${coordinate(y - height / 2)}" ` +
    `width="${coordinate(Math.max(0, right - left))}" height="${coordinate(height)}"><title>${escapeHtml(title)}</title></rect>`
  )
}

/** Squares with words, for what colours mean. */
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
