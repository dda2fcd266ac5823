// What every figure with axes has: a plot that stretches, labels of fixed size beside it, marked moments.

import type { Axis } from './axes.ts'
import { coordinate, escapeHtml, safeColour } from './html.ts'

/** Side of the plot's own square of coordinates; the page stretches it to what there is. */
export const PLOT_SIDE = 1_000

/** Something that happened at a moment: a vertical line through the plot. */
export interface MarkedMoment {
  readonly timeS: number
  readonly name: string
  readonly text: string
  readonly color: string
}

/** A horizontal coordinate of the plot. */
export function plotX(place: number): string {
  return coordinate(place * PLOT_SIDE)
}

/** A vertical coordinate of the plot; SVG counts from the top. */
export function plotY(place: number): string {
  return coordinate((1 - place) * PLOT_SIDE)
}

export interface Frame {
  readonly times: Axis
  readonly values: Axis
  readonly heightPx: number
  /** SVG inside the plot. */
  readonly content: string
  readonly moments: readonly MarkedMoment[]
  /** Spoken description for those who do not see the picture. */
  readonly label: string
}

/** The figure as HTML. */
export function plotFrame(frame: Frame): string {
  const { times, values, heightPx, content, moments, label } = frame
  const gutter = Math.max(3, ...values.ticks.map((tick) => tick.label.length)) + 1
  const gridLines = values.ticks
    .map(
      ({ place }) => `<line x1="0" x2="${PLOT_SIDE}" y1="${plotY(place)}" y2="${plotY(place)}"/>`,
    )
    .join('')
  return [
    `<div class="plot" style="--gutter:${gutter}ch;height:${heightPx}px">`,
    `<svg viewBox="0 0 ${PLOT_SIDE} ${PLOT_SIDE}" preserveAspectRatio="none" role="img" aria-label="${escapeHtml(label)}">`,
    `<g class="grid">${gridLines}</g>`,
    content,
    `<g class="moments">${moments.map((moment) => momentLine(moment, times)).join('')}</g></svg>`,
    `<div class="y">${values.ticks.map(({ place, label: text }) => `<span style="bottom:${percent(place)}">${escapeHtml(text)}</span>`).join('')}</div>`,
    `<div class="x">${timeLabels(times)}</div>`,
    '</div>',
  ].join('')
}

function momentLine({ timeS, name, text, color }: MarkedMoment, times: Axis): string {
  const x = plotX(times.place(timeS))
  const title = `<title>${escapeHtml(`${name}: ${text}`)}</title>`
  return `<line x1="${x}" x2="${x}" y1="0" y2="${PLOT_SIDE}" stroke="${safeColour(color)}">${title}</line>`
}

// A label is centred under its tick; one that would reach over an end of the plot is left out.
const TIME_LABEL_MARGIN = 0.04

function timeLabels({ ticks }: Axis): string {
  return ticks
    .filter(({ place }) => place >= TIME_LABEL_MARGIN && place <= 1 - TIME_LABEL_MARGIN)
    .map(({ place, label }) => `<span style="left:${percent(place)}">${escapeHtml(label)}</span>`)
    .join('')
}

function percent(place: number): string {
  return `${coordinate(place * 100)}%`
}
