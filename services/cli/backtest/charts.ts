// The charts of a backtest: alerts, what changes against live, precision and recall with intervals, money, and alerts by day.

import type { Accuracy } from '../../core/backtest/figures.ts'
import type { ShareInterval } from '../../core/scoring/wilson.ts'
import { coordinate, escapeHtml } from '../charts/html.ts'
import { linesFigure } from '../charts/lines-figure.ts'
import { seriesStyle } from '../charts/palette.ts'
import { bar, legend, rowChart, scaleFor, type Scale } from '../charts/row-chart.ts'
import { formatInScale, unitScale } from '../charts/units.ts'
import { count, CURRENCY, interval, money } from './report-words.ts'
import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'

const BAR_HEIGHT = 18
const THIN_HEIGHT = 8
/** From the middle of a row to each of its two dots. */
const DOT_OFFSET = 6
const MINOR_PER_MAJOR = 100
const DAY_S = 86_400
const DAYS_HEIGHT_PX = 210

/** A chart with its heading and what it shows. */
export interface Figure {
  readonly title: string
  readonly about: string
  /** Markup that needs no escaping. */
  readonly html: string
}

export function alertsFigure(report: BacktestReport): Figure {
  const all = allOf(report)
  const scale = scaleFor(all.map(({ load }) => load.alerts))
  const rows = all.map(({ name, outcomes: { flag, block } }) => ({
    name,
    draw: (y: number) => {
      const both = block.count + flag.count
      return (
        bar(scale, 0, block.count, y, BAR_HEIGHT, 'block', `${count(block.count)} blocked`) +
        bar(scale, block.count, both, y, BAR_HEIGHT, 'flag', `${count(flag.count)} flagged`)
      )
    },
  }))
  const words = legend([
    ['block', 'blocked'],
    ['flag', 'flagged'],
  ])
  return {
    title: 'Alerts',
    about: 'Transactions that each policy blocks or flags, mature or not.',
    html: words + rowChart('Blocks and flags of each policy', scale, tickText(scale), rows),
  }
}

export function changesFigure({ policies }: BacktestReport): Figure {
  const scale = scaleFor(
    policies.flatMap(({ changes }) => [-changes.milder.count, changes.stricter.count]),
  )
  const rows = policies.map(({ name, changes: { stricter, milder } }) => ({
    name,
    draw: (y: number) =>
      side(scale, 1, y, 'stricter', stricter) + side(scale, -1, y, 'milder', milder),
  }))
  const words = legend([
    ['milder', 'milder'],
    ['stricter', 'stricter'],
    ['fraud', 'of them fraud (mature)'],
  ])
  const text = tickText(scale)
  const tick = (value: number): string => text(Math.abs(value))
  return {
    title: 'Changes against live',
    about:
      'To the left, transactions that become milder; to the right, those that become stricter.',
    html: words + rowChart('Transactions that become stricter or milder', scale, tick, rows),
  }
}

function side(
  scale: Scale,
  sign: 1 | -1,
  y: number,
  style: 'stricter' | 'milder',
  changed: { readonly count: number; readonly frauds: number },
): string {
  const frauds = `${count(changed.frauds)} of them fraud`
  return (
    bar(scale, 0, sign * changed.count, y, BAR_HEIGHT, style, `${count(changed.count)} ${style}`) +
    bar(scale, 0, sign * changed.frauds, y, THIN_HEIGHT, 'fraud', frauds)
  )
}

/** Null without labels. */
export function accuracyFigure(
  report: BacktestReport,
  what: 'precision' | 'recall',
): Figure | null {
  if (report.live.labelled === null) return null
  const scale = scaleFor([0, 1])
  const dots = (y: number, style: string, of: string, accuracy: Accuracy): string =>
    dot(scale, y, style, `${what} of ${of}: ${interval(accuracy[what])}`, accuracy[what])
  const rows = allOf(report).map(({ name, labelled }) => ({
    name,
    draw: (y: number) =>
      labelled === null
        ? ''
        : dots(y - DOT_OFFSET, 'flag', 'alerts', labelled.alerts) +
          dots(y + DOT_OFFSET, 'block', 'blocks', labelled.blocks),
  }))
  const words = legend([
    ['flag', 'blocks and flags'],
    ['block', 'blocks alone'],
  ])
  const tick = (value: number): string => `${Math.round(100 * value)}%`
  return {
    title: what === 'precision' ? 'Precision' : 'Recall',
    about:
      what === 'precision'
        ? 'Share of the mature alerts that are frauds, with 95% intervals.'
        : 'Share of the mature frauds that are alerted, with 95% intervals.',
    html: words + rowChart(`${what} of each policy`, scale, tick, rows),
  }
}

function dot(
  scale: Scale,
  y: number,
  style: string,
  title: string,
  { share, low, high }: ShareInterval,
): string {
  if (share === null) return ''
  const [left, right, at, middle] = [scale(low), scale(high), scale(share), y].map(coordinate)
  return (
    `<line class="whisker ${style}" x1="${left ?? ''}" x2="${right ?? ''}" y1="${middle ?? ''}" y2="${middle ?? ''}"/>` +
    `<circle class="${style}" cx="${at ?? ''}" cy="${middle ?? ''}" r="4.5"><title>${escapeHtml(title)}</title></circle>`
  )
}

/** Null without labels. */
export function valueFigure(report: BacktestReport): Figure | null {
  if (report.live.labelled === null) return null
  const all = allOf(report)
  const scale = scaleFor(all.flatMap(extremesOf))
  const rows = all.map((policy) => ({
    name: policy.name,
    draw: (y: number) => valueBars(scale, y, policy),
  }))
  const words = legend([
    ['block', 'fraud blocked'],
    ['flag', 'saved by flags'],
    ['cost', 'cost of alerts'],
    ['wrong', 'cost of wrong blocks'],
    ['net', 'value saved'],
  ])
  const tick = tickText(scale, MINOR_PER_MAJOR)
  return {
    title: `Value, ${CURRENCY}`,
    about: 'Of mature transactions: what is saved to the right of 0, what it costs to the left.',
    html: words + rowChart('Value saved by each policy', scale, tick, rows),
  }
}

function extremesOf({ labelled }: ReportedPolicy): readonly number[] {
  if (labelled === null) return []
  const { value } = labelled
  return [
    Number(value.blockedFraudMinor + value.flagSavesMinor),
    -Number(value.alertCostMinor + value.wrongBlockCostMinor),
  ]
}

function valueBars(scale: Scale, y: number, { labelled }: ReportedPolicy): string {
  if (labelled === null) return ''
  const { value } = labelled
  const [blocked, flags] = [Number(value.blockedFraudMinor), Number(value.flagSavesMinor)]
  const [alerts, wrong] = [Number(value.alertCostMinor), Number(value.wrongBlockCostMinor)]
  const titled = (words: string, minor: bigint): string => `${words}: ${money(minor)} ${CURRENCY}`
  const part = (from: number, to: number, style: string, title: string): string =>
    bar(scale, from, to, y, BAR_HEIGHT, style, title)
  const net = coordinate(scale(Number(value.savedMinor)))
  const [top, bottom] = [coordinate(y - BAR_HEIGHT), coordinate(y + BAR_HEIGHT)]
  return (
    part(0, blocked, 'block', titled('fraud blocked', value.blockedFraudMinor)) +
    part(blocked, blocked + flags, 'flag', titled('saved by flags', value.flagSavesMinor)) +
    part(0, -alerts, 'cost', titled('cost of alerts', value.alertCostMinor)) +
    part(
      -alerts,
      -alerts - wrong,
      'wrong',
      titled('cost of wrong blocks', value.wrongBlockCostMinor),
    ) +
    `<line class="net" x1="${net}" x2="${net}" y1="${top}" y2="${bottom}"><title>${escapeHtml(titled('value saved', value.savedMinor))}</title></line>`
  )
}

/** Null when there are rows of one day only. */
export function daysFigure(report: BacktestReport): Figure | null {
  const days = report.facts.days.map(({ day }) => day)
  const [first, last] = [days[0], days.at(-1)]
  if (first === undefined || last === undefined || first === last) return null
  const series = allOf(report).map(({ name, days: own }, index) => {
    // Every day that has rows; one without alerts is 0.
    const alerts = new Map(own.map(({ day, flags, blocks }) => [day, flags + blocks]))
    const points = days.map((day) => [day * DAY_S, alerts.get(day) ?? 0] as const)
    return { name, points, ...seriesStyle(index), valueText: count }
  })
  const html = linesFigure({
    ...{ title: 'Alerts by day', series, isStacked: false, unit: 'short', limits: [], moments: [] },
    ...{ max: null, softMax: 1, heightPx: DAYS_HEIGHT_PX },
    range: { fromS: first * DAY_S, toS: last * DAY_S },
    stepS: Infinity,
  })
  const about =
    'Blocks and flags by UTC day of the event time; the legend has those of the last day.'
  return html === null ? null : { title: 'Alerts by day', about, html }
}

function allOf({ live, policies }: BacktestReport): readonly ReportedPolicy[] {
  return [live, ...policies]
}

/** Ticks of one chart in one unit: 5 k and 10 k, not 5000 and 10 k. */
function tickText(scale: Scale, divisor = 1): (value: number) => string {
  const largest = Math.max(...scale.domain().map(Math.abs)) / divisor
  const unit = unitScale('short', largest)
  return (value) => {
    const shown = value / divisor
    return formatInScale(shown, unit, Number.isInteger(shown / unit.divisor) ? 0 : 1)
  }
}
