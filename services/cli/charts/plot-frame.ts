// The frame of every figure with axes: a stretchable plot, labels of fixed size alongside it, and marked moments.

import { scaleLinear } from 'd3-scale'

/** Side of the plot's square coordinate system; the page stretches it to the available space. */
export const PLOT_SIDE = 1_000

/** An event at a moment: a vertical line through the plot. */
export interface MarkedMoment {
  readonly timeS: number
  readonly name: string
  readonly text: string
  readonly color: string
}

/** A horizontal coordinate of the plot. */
function plotX(place: number): string {
  return coordinate(place * PLOT_SIDE)
}

/** A vertical coordinate of the plot; SVG counts from the top. */
export function plotY(place: number): string {
  return coordinate((1 - place) * PLOT_SIDE)
}

interface Frame {
  readonly times: Axis
  readonly values: Axis
  readonly heightPx: number
  /** SVG inside the plot. */
  readonly content: string
  readonly moments: readonly MarkedMoment[]
  /** Description of the picture for screen readers. */
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

// Axes of a figure: positions of values and times as shares of the plot, and their labels. Positions run from 0 (left,
// bottom) to 1 (right, top), so that labels can be HTML of one size beside a plot that stretches with the page.

const VALUE_TICKS = 4
const TIME_TICKS_MAX = 6
/** Labels with seconds are longer. */
const SECONDS_TICKS_MAX = 4
const MINUTE_S = 60
const DAY_S = 86_400
const ROUND_STEPS_S = [
  1,
  2,
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1_800,
  3_600,
  7_200,
  10_800,
  21_600,
  43_200,
  DAY_S,
]

/** Seconds since 1970, both ends included. */
export interface TimeRange {
  readonly fromS: number
  readonly toS: number
}

interface Tick {
  readonly place: number
  readonly label: string
}

export interface Axis {
  /** Position of a value, or of a time in seconds, as a share of the plot. */
  place(value: number): number
  readonly ticks: readonly Tick[]
}

/** An axis from zero, or from the least negative value, to the largest value. */
export function valueAxis(
  values: Iterable<number>,
  unit: string,
  limits: { readonly max: number | null; readonly softMax: number | null },
): Axis {
  let low = 0
  let high = limits.softMax ?? 0
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (limits.max !== null) high = limits.max
  // An axis needs some height even when every value is zero; a whole unit reads best.
  if (high <= low) high = low + 1
  const scale = unitScale(unit, Math.max(high, -low))
  // Round ticks must be round in the displayed unit: 2 min rather than 100 s.
  const places = scaleLinear([low / scale.divisor, high / scale.divisor], [0, 1])
  if (limits.max === null) places.nice(VALUE_TICKS)
  const ticks = places.ticks(VALUE_TICKS)
  const decimals = decimalsOf(ticks)
  return {
    place: (value) => places(value / scale.divisor),
    ticks: ticks.map((tick) => ({
      place: places(tick),
      label: formatInScale(tick * scale.divisor, scale, decimals),
    })),
  }
}

function decimalsOf(ticks: readonly number[]): number {
  const [first, second] = ticks
  const step = first === undefined || second === undefined ? 1 : second - first
  return Math.max(0, Math.min(6, -Math.floor(Math.log10(Math.abs(step) || 1) + 1e-9)))
}

/** An axis of time in UTC, with ticks at round times. */
export function timeAxis({ fromS, toS }: TimeRange): Axis {
  const places = scaleLinear([fromS, toS], [0, 1])
  const stepS = tickStepSeconds(toS - fromS)
  const first = Math.ceil(fromS / stepS)
  const count = Math.floor(toS / stepS) - first + 1
  const label = timeLabel(toS - fromS, stepS)
  return {
    place: (timeS) => places(timeS),
    ticks: Array.from({ length: count }, (_, index) => (first + index) * stepS).map((timeS) => ({
      place: places(timeS),
      label: label(new Date(timeS * 1_000)),
    })),
  }
}

/** The shortest round step that leaves room for the labels, even in a third of a page. */
function tickStepSeconds(rangeS: number): number {
  const hasSeconds = rangeS / TIME_TICKS_MAX <= MINUTE_S / 2
  const wantedS = rangeS / (hasSeconds ? SECONDS_TICKS_MAX : TIME_TICKS_MAX)
  return ROUND_STEPS_S.find((stepS) => stepS >= wantedS) ?? Math.ceil(wantedS / DAY_S) * DAY_S
}

function timeLabel(rangeS: number, stepS: number): (time: Date) => string {
  if (stepS >= DAY_S) return (time) => time.toISOString().slice(5, 10)
  if (rangeS > DAY_S) return (time) => time.toISOString().slice(5, 16).replace('T', ' ')
  return (time) => time.toISOString().slice(11, stepS < MINUTE_S ? 19 : 16)
}

// Formats values with their units: 12 ms, 3.4 MiB, 99.2 %, 210 /s, € 1.2 k.

/** Format of one order of magnitude: a divisor, and the text before and after the number. */
interface UnitScale {
  readonly divisor: number
  readonly before: string
  readonly after: string
}

type Steps = readonly (readonly [from: number, divisor: number, after: string])[]

const THOUSANDS: Steps = [
  [1e9, 1e9, ' G'],
  [1e6, 1e6, ' M'],
  [1e4, 1e3, ' k'],
  [0, 1, ''],
]
const STEPS: Readonly<Record<string, Steps>> = {
  s: [
    [2 * 86_400, 86_400, ' d'],
    [2 * 3_600, 3_600, ' h'],
    [120, 60, ' min'],
    [1, 1, ' s'],
    [0.001, 0.001, ' ms'],
    [0, 0.000_001, ' µs'],
  ],
  bytes: [
    [1024 ** 3, 1024 ** 3, ' GiB'],
    [1024 ** 2, 1024 ** 2, ' MiB'],
    [1024, 1024, ' KiB'],
    [0, 1, ' B'],
  ],
  percentunit: [[0, 0.01, ' %']],
  none: [[0, 1, '']],
}
const BEFORE: Readonly<Record<string, string>> = { currencyEUR: '€ ' }
const AFTER: Readonly<Record<string, string>> = { eps: ' /s', mps: ' /s', cps: ' /s' }

/** The scale for values up to `magnitude`. Values of unknown units are written as plain numbers. */
export function unitScale(unit: string, magnitude: number): UnitScale {
  const steps = STEPS[unit] ?? THOUSANDS
  const size = Math.abs(magnitude)
  const isNothing = size === 0 || !Number.isFinite(size)
  // Zero has no magnitude; it is written in the plain unit.
  const step = isNothing
    ? steps.find(([, divisor]) => divisor <= 1)
    : steps.find(([from]) => size >= from)
  const [, divisor, after] = step ?? [0, 1, '']
  return { divisor, before: BEFORE[unit] ?? '', after: `${after}${AFTER[unit] ?? ''}` }
}

/** A value in the scale that suits it, with about three significant digits or with the given decimals. */
export function formatValue(value: number, unit: string, decimals: number | null = null): string {
  if (Number.isNaN(value)) return '–'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞'
  const scale = unitScale(unit, value)
  return formatInScale(value, scale, decimals ?? usefulDecimals(value / scale.divisor))
}

/** A value in a given scale with exactly these decimals; for ticks, which share one scale. */
export function formatInScale(value: number, scale: UnitScale, decimals: number): string {
  const text = (value / scale.divisor).toFixed(decimals)
  // -0.0 is written as zero too.
  return `${scale.before}${/^-0\.?0*$/.test(text) ? text.slice(1) : text}${scale.after}`
}

function usefulDecimals(value: number): number {
  const size = Math.abs(value)
  if (size >= 100 || Number.isInteger(value)) return 0
  return size >= 10 ? 1 : 2
}

// Colours of series in charts.

/**
 * Colours for series without a colour of their own. They differ in lightness too, and are readable on light and dark.
 * Red comes last, since elsewhere it means bad. From the ninth series on the colours repeat, dashed.
 */
const PALETTE = [
  '#3b82c4',
  '#d98200',
  '#0e9f78',
  '#b65fa8',
  '#4fb0d8',
  '#8a7d00',
  '#7a7f87',
  '#c0392b',
] as const

/** The style of the series with this index among those without a colour of their own. */
export function seriesStyle(place: number): { readonly color: string; readonly isDashed: boolean } {
  return { color: PALETTE[place % PALETTE.length] ?? 'gray', isDashed: place >= PALETTE.length }
}

// Escapes text for HTML. Label values come from outside and may hold anything.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Escapes text for element content and quoted attribute values. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

/** A colour that is safe in a style; anything but a plain colour becomes grey. */
export function safeColour(color: string): string {
  return /^(#[0-9a-f]{3,8}|[a-z]{3,20})$/i.test(color) ? color : 'gray'
}

/** A number for an SVG attribute: short, never with an exponent. */
export function coordinate(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}

// The style shared by all pages with charts. Light or dark follows the reader's system; the pages load nothing.

export const CHART_STYLE = `
:root{color-scheme:light dark;--page:#f3f4f6;--panel:#fff;--edge:#dcdfe4;--text:#1d232b;--soft:#5b6470;--grid:#e6e8ec;--notice:#fff4d6}
@media(prefers-color-scheme:dark){:root{--page:#111418;--panel:#191d23;--edge:#2b313a;--text:#e4e7eb;--soft:#9aa4b1;--grid:#282e36;--notice:#33290f}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:14px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
ul{list-style:none;margin:0;padding:0}
.notice{background:var(--notice);color:var(--text);border:1px solid var(--edge);border-radius:6px;padding:8px 12px}
.panel{background:var(--panel);border:1px solid var(--edge);border-radius:6px;min-width:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;color:var(--soft);font-size:12px}
.legend li{overflow-wrap:anywhere;min-width:0}
.legend b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:14px;height:0;border-top:3px solid var(--c);vertical-align:middle;margin-right:5px;border-radius:1px}
.legend i.dashed{border-top:2px dashed var(--c);width:18px}
.plot{position:relative;margin:4px 6px 22px var(--gutter);font-size:11px;font-variant-numeric:tabular-nums}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:hidden}
.plot line,.plot path{vector-effect:non-scaling-stroke}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.layer{fill-opacity:var(--layer)}
.layer+.line{stroke-width:1}
.line.dashed{stroke-width:1.3;stroke-dasharray:5 4;stroke-linecap:butt}
.limit{stroke-width:1.4;stroke-dasharray:7 4}
.moments line{stroke-width:1.4;stroke-dasharray:2 3}
.y span,.x span{position:absolute;color:var(--soft);white-space:nowrap;line-height:1}
.y span{right:calc(100% + 7px);transform:translateY(50%)}
.x span{top:calc(100% + 7px);transform:translateX(-50%)}
.plot .grid line{stroke:var(--grid)}
`.trim()
