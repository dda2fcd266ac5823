// curves.svg: how the nets of a cascade learnt, epoch by epoch: loss on training rows and average precision on validation
// rows. The same epochs give the same bytes.

import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import type { EpochFigures } from './kept-net.ts'

export const CURVES_FILE = 'curves.svg'

/** One net with what came of its epochs. */
export interface LearningCurve {
  readonly name: string
  readonly epochs: readonly Omit<EpochFigures, 'seconds'>[]
  /** Epoch whose weights were kept. */
  readonly bestEpoch: number
}

const WIDTH = 760
const HEIGHT = 300
const PLOT = { top: 44, width: 290, height: 200 } as const
const LEFTS = [60, 440] as const
const COLOURS = ['#1f6fb4', '#c2571a', '#3d8b4f', '#7a4fa3'] as const
const TICKS = 5
const PATH_DIGITS = 2

type Spot = readonly [epoch: number, value: number]

/** Two plots side by side, a line for each net; a dot marks the epoch that was kept. */
export function trainingCurves(curves: readonly LearningCurve[]): string {
  const plots = [
    plot(LEFTS[0], 'loss on training rows', curves, ({ loss }) => loss),
    plot(
      LEFTS[1],
      'average precision on validation rows',
      curves,
      ({ validationPrecision }) => validationPrecision,
    ),
  ]
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    'font-family="sans-serif" font-size="11" role="img" aria-label="Loss and average precision by epoch">\n' +
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>\n${plots.join('')}${legend(curves)}</svg>\n`
  )
}

function plot(
  left: number,
  title: string,
  curves: readonly LearningCurve[],
  read: (epoch: LearningCurve['epochs'][number]) => number | null,
): string {
  const spots = curves.map(({ epochs }) =>
    epochs.flatMap((epoch): readonly Spot[] => {
      const value = read(epoch)
      return value === null || !Number.isFinite(value) ? [] : [[epoch.epoch, value]]
    }),
  )
  const all = spots.flat()
  const epochLast = all.reduce((most, [epoch]) => Math.max(most, epoch), 2)
  const high = all.reduce((most, [, value]) => Math.max(most, value), 0)
  const x = scaleLinear([1, epochLast], [left, left + PLOT.width])
  const y = scaleLinear([0, high > 0 ? high : 1], [PLOT.top + PLOT.height, PLOT.top]).nice(TICKS)
  const path = line<Spot>(
    ([epoch]) => x(epoch),
    ([, value]) => y(value),
  ).digits(PATH_DIGITS)
  const lines = spots.map((own, index) => {
    const colour = colourOf(index)
    const kept = own.find(([epoch]) => epoch === curves[index]?.bestEpoch)
    const dot =
      kept === undefined
        ? ''
        : `<circle cx="${places(x(kept[0]))}" cy="${places(y(kept[1]))}" r="4" fill="${colour}"/>\n`
    return `<path d="${path(own) ?? ''}" fill="none" stroke="${colour}" stroke-width="1.5"/>\n${dot}`
  })
  const heights = y.ticks(TICKS).map((value) => {
    const at = places(y(value))
    return (
      `<line x1="${left}" x2="${left + PLOT.width}" y1="${at}" y2="${at}" stroke="#dddddd"/>\n` +
      `<text x="${left - 6}" y="${at}" dy="0.35em" text-anchor="end">${y.tickFormat(TICKS)(value)}</text>\n`
    )
  })
  const epochs = x
    .ticks(TICKS)
    .filter((epoch) => Number.isInteger(epoch))
    .map(
      (epoch) =>
        `<text x="${places(x(epoch))}" y="${PLOT.top + PLOT.height + 18}" text-anchor="middle">${epoch}</text>\n`,
    )
  return (
    `<text x="${left}" y="${PLOT.top - 14}" font-size="13">${title}</text>\n` +
    `${heights.join('')}${epochs.join('')}${lines.join('')}`
  )
}

function legend(curves: readonly LearningCurve[]): string {
  const entries = curves.map(({ name, bestEpoch }, index) => {
    const from = LEFTS[0] + index * (PLOT.width / 2)
    return (
      `<rect x="${from}" y="282" width="12" height="4" fill="${colourOf(index)}"/>\n` +
      `<text x="${from + 18}" y="288">${name}, epoch ${bestEpoch} kept</text>\n`
    )
  })
  return entries.join('')
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? '#000000'
}

function places(value: number): string {
  return value.toFixed(PATH_DIGITS)
}
