// Axes of a figure: where values and times land, in shares of the plot, and what stands beside them.
//
// Places are from 0 (left, bottom) to 1 (right, top), so that labels can be HTML of one size beside a plot that
// stretches with the page.

import { scaleLinear } from 'd3-scale'
import { formatInScale, unitScale } from './units.ts'

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

export interface Tick {
  readonly place: number
  readonly label: string
}

export interface Axis {
  /** Share of the plot at which a value (or a time in seconds) lies. */
  place(value: number): number
  readonly ticks: readonly Tick[]
}

/** An axis from zero (or below, where there are negative values) to what has to fit. */
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
  // An axis needs some height, also when everything is zero; a whole unit reads best.
  if (high <= low) high = low + 1
  const scale = unitScale(unit, Math.max(high, -low))
  // Nice ticks are nice in the unit that is written: 2 min rather than 100 s.
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
  const step = (ticks[1] ?? 1) - (ticks[0] ?? 0)
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

/** The shortest round step that leaves room for the labels, also in a third of a page. */
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
