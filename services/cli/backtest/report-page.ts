// The report as one HTML file: no script, nothing loaded from elsewhere, every text escaped.

import type { Accuracy } from '../../core/backtest/figures.ts'
import type { Changed, Example, ShownOutcome } from '../../core/backtest/tallies.ts'
import type { ShareInterval } from '../../core/scoring/wilson.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import {
  CHART_STYLE,
  coordinate,
  escapeHtml,
  formatInScale,
  seriesStyle,
  unitScale,
} from '../charts/plot-frame.ts'
import { type Scale, bar, legend, linesFigure, rowChart, scaleFor } from '../charts/lines-figure.ts'
import { tableLines } from '../table.ts'
import {
  reportCurrency,
  aboutLines,
  columnNames,
  comparedGroups,
  count,
  interval,
  money,
  percent,
  timeText,
} from './report-rows.ts'
import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'

type Policy = BacktestReport['policies'][number]

/** Set apart in the table as the sum. */
const SUM_ROW = 'value saved'

/** The whole page. The same report gives the same bytes. */
export function reportPage(report: BacktestReport): string {
  const figures = [
    alertsFigure(report),
    changesFigure(report),
    accuracyFigure(report, 'precision'),
    accuracyFigure(report, 'recall'),
    valueFigure(report),
    daysFigure(report),
  ].filter((figure) => figure !== null)
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>Backtest of ${escapeHtml(report.policies.map(({ name }) => name).join(', '))}</title>`,
    `<style>${REPORT_STYLE}</style></head><body><main>`,
    '<h1>Backtest</h1>',
    `<ul class="about">${aboutLines(report)
      .map((text) => `<li>${escapeHtml(text)}</li>`)
      .join('')}</ul>`,
    ...report.warnings.map((text) => `<p class="notice">${escapeHtml(text)}</p>`),
    `<h2>Compared</h2>${comparedTable(report)}`,
    `<h2>Charts</h2><div class="figures">${figures.map(figurePanel).join('')}</div>`,
    ...report.policies.map((policy) => policySection(report, policy)),
    '</main></body></html>\n',
  ].join('')
}

function figurePanel({ title, about, html }: Figure): string {
  return `<section class="panel"><h3>${escapeHtml(title)}</h3><p>${escapeHtml(about)}</p>${html}</section>`
}

function comparedTable(report: BacktestReport): string {
  const names = columnNames(report)
  const head = ['', ...names].map((name) => `<th>${escapeHtml(name)}</th>`).join('')
  const bodies = comparedGroups(report).map(({ title, rows }) => {
    const lines = rows.map(({ title: text, cells }) => {
      const first = `<td${text.startsWith(' ') ? ' class="in"' : ''}>${escapeHtml(text.trim())}</td>`
      const rest = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')
      return `<tr${text === SUM_ROW ? ' class="sum"' : ''}>${first}${rest}</tr>`
    })
    return `<tbody><tr><th colspan="${names.length + 1}">${escapeHtml(title)}</th></tr>${lines.join('')}</tbody>`
  })
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead>${bodies.join('')}</table></div>`
}

function policySection({ live }: BacktestReport, policy: Policy): string {
  const { name, changes } = policy
  return [
    `<h2>${escapeHtml(name)}</h2>`,
    `<h3>Outcomes: ${escapeHtml(live.name)} down, ${escapeHtml(name)} across</h3>`,
    matrixTable(policy),
    policy.rules.length === 0 ? '' : `<h3>Rules that fired</h3>${rulesTable(policy)}`,
    annotationsLine(policy),
    examplesOf('Stricter than live', changes.stricter),
    examplesOf('Milder than live', changes.milder),
  ].join('')
}

function matrixTable({ changes: { matrix } }: Policy): string {
  const head = ['', ...OUTCOMES].map((text) => `<th>${text}</th>`).join('')
  const rows = OUTCOMES.map((from) => {
    const cells = OUTCOMES.map((to) => `<td>${count(matrix[from][to])}</td>`).join('')
    return `<tr><td>${from}</td>${cells}</tr>`
  })
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

function rulesTable({ rules }: Policy): string {
  const head = ['rule', 'fired', 'on fraud', 'on genuine', 'precision']
  const rows = rules.map(({ name, fired, frauds, genuine }) => {
    const known = frauds + genuine
    const cells = [name, count(fired), count(frauds), count(genuine)]
    const precision = percent(known === 0 ? null : frauds / known)
    return `<tr>${[...cells, precision].map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`
  })
  return `<div class="scroll"><table><thead><tr>${head.map((text) => `<th>${text}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

function annotationsLine({ annotations }: Policy): string {
  const texts = Object.entries(annotations).map(([mark, number]) => `${mark} ${count(number)}`)
  return texts.length === 0 ? '' : `<p>Marks: ${escapeHtml(texts.join(', '))}</p>`
}

function examplesOf(title: string, { count: changed, minor, examples }: Changed): string {
  const heading = `<h3>${title}: ${count(changed)} transactions of ${money(minor)} ${reportCurrency()}</h3>`
  if (examples.length === 0) return heading
  const head = [
    'time (UTC)',
    `amount, ${reportCurrency()}`,
    'live',
    'then',
    'score',
    'truth',
    'transaction',
    'merchant',
    'why',
  ]
  const more = changed > examples.length ? `<p>The ${examples.length} most expensive.</p>` : ''
  return (
    `${heading}${more}<div class="scroll"><table class="texts"><thead><tr>` +
    `${head.map((text) => `<th>${text}</th>`).join('')}</tr></thead>` +
    `<tbody>${examples.map(exampleRow).join('')}</tbody></table></div>`
  )
}

function exampleRow(example: Example): string {
  const { eventTimeMs, referenceMinor, score, truth, transactionId, merchant, live, policy } =
    example
  const cells: readonly (readonly [style: string, text: string])[] = [
    ['time', timeText(eventTimeMs)],
    ['number', money(BigInt(referenceMinor))],
    ['outcome', live.outcome],
    ['outcome', policy.outcome],
    ['number', score === null ? 'none' : score.toFixed(3)],
    ['', truth],
    ['', transactionId],
    ['', merchant ?? ''],
    ['', `live: ${whyText(live)}; then: ${whyText(policy)}`],
  ]
  return `<tr>${cells.map(([style, text]) => `<td class="${style}">${escapeHtml(text)}</td>`).join('')}</tr>`
}

function whyText({ rules }: ShownOutcome): string {
  if (rules.length === 0) return 'by the score'
  return rules.map(({ name, text }) => (text === '' ? name : `${name} (${text})`)).join(', ')
}

// The charts of a backtest: alerts, changes against live, precision and recall with intervals, money, and alerts by
// day.

const BAR_HEIGHT = 18
const THIN_HEIGHT = 8
/** Distance of a row's two dots from its middle. */
const DOT_OFFSET = 6
const MINOR_PER_MAJOR = 100
const DAY_S = 86_400
const DAYS_HEIGHT_PX = 210

/** A chart with its heading and description. */
interface Figure {
  readonly title: string
  readonly about: string
  /** HTML that needs no escaping. */
  readonly html: string
}

function alertsFigure(report: BacktestReport): Figure {
  const all = allOf(report)
  const scale = scaleFor(all.map(({ load }) => load.alerts))
  const rows = all.map(({ name, outcomes: { flag, block } }) => ({
    name,
    draw: (y: number) => {
      const both = block.count + flag.count
      return (
        bar(scale, {
          from: 0,
          to: block.count,
          y,
          height: BAR_HEIGHT,
          style: 'block',
          title: `${count(block.count)} blocked`,
        }) +
        bar(scale, {
          from: block.count,
          to: both,
          y,
          height: BAR_HEIGHT,
          style: 'flag',
          title: `${count(flag.count)} flagged`,
        })
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

function changesFigure({ policies }: BacktestReport): Figure {
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
    bar(scale, {
      from: 0,
      to: sign * changed.count,
      y,
      height: BAR_HEIGHT,
      style,
      title: `${count(changed.count)} ${style}`,
    }) +
    bar(scale, {
      from: 0,
      to: sign * changed.frauds,
      y,
      height: THIN_HEIGHT,
      style: 'fraud',
      title: frauds,
    })
  )
}

/** Null without labels. */
function accuracyFigure(report: BacktestReport, what: 'precision' | 'recall'): Figure | null {
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
function valueFigure(report: BacktestReport): Figure | null {
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
    title: `Value, ${reportCurrency()}`,
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
  const titled = (words: string, minor: bigint): string =>
    `${words}: ${money(minor)} ${reportCurrency()}`
  const part = (from: number, to: number, style: string, title: string): string =>
    bar(scale, { from, to, y, height: BAR_HEIGHT, style, title })
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

/** Null when all rows are of one day. */
function daysFigure(report: BacktestReport): Figure | null {
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

// The comparison as lines for a terminal.

/** Longest reason on a line; the page shows it in full. */
const REASON_CHARACTERS_MAX = 100

/** All lines of the report. */
export function reportTable(report: BacktestReport): readonly string[] {
  const names = ['', ...columnNames(report)]
  const groups = comparedGroups(report)
  const rows = groups.flatMap(({ title, rows: own }) => [
    [title],
    ...own.map((row) => [`  ${row.title}`, ...row.cells]),
  ])
  return [
    ...aboutLines(report),
    '',
    ...tableLines([names, ...rows], { align: `l${'r'.repeat(names.length)}` }),
    ...report.policies.flatMap(({ name, changes }) => [
      ...exampleLines(
        `${name} is stricter than live`,
        changes.stricter.count,
        changes.stricter.examples,
      ),
      ...exampleLines(`${name} is milder than live`, changes.milder.count, changes.milder.examples),
    ]),
  ]
}

function exampleLines(
  title: string,
  changed: number,
  examples: readonly Example[],
): readonly string[] {
  if (examples.length === 0) return []
  return [
    '',
    `${title} (${examples.length} of ${count(changed)}, the most expensive)`,
    ...examples.map(exampleLine),
  ]
}

function exampleLine(example: Example): string {
  const { transactionId, eventTimeMs, referenceMinor, merchant, score, truth } = example
  const { live, policy } = example
  const reasons = (policy.rules.length > 0 ? policy.rules : live.rules)
    .map(({ name, text }) => (text === '' ? name : `${name}: ${text}`))
    .join('; ')
  const shown =
    reasons.length > REASON_CHARACTERS_MAX
      ? `${reasons.slice(0, REASON_CHARACTERS_MAX - 3)}...`
      : reasons
  const told = score === null ? 'not scored' : `score ${score.toFixed(3)}`
  const line =
    `  ${timeText(eventTimeMs)}  ${money(BigInt(referenceMinor))} ${reportCurrency()}  ${live.outcome} -> ${policy.outcome}  ` +
    `${told}  ${truth}  ${transactionId}  ${merchant ?? ''}  ${shown === '' ? 'by the score' : shown}`
  // Reasons of lists are free text: control characters must not reach the terminal.
  return line.replaceAll(/\p{Cc}/gu, '?')
}

// The style sheet of the report; one column on a phone.

const REPORT_STYLE = `${CHART_STYLE}
:root{--zero:#8a929d;--block:#b3372f;--flag:#d98200;--stricter:#3b82c4;--milder:#0e9f78;--fraud:#1d232b;--cost:#8d949e;--wrong:#8e5aa8;--net:#1d232b}
@media(prefers-color-scheme:dark){:root{--zero:#6b7480;--block:#e0675e;--flag:#e8a23a;--stricter:#6db3f2;--milder:#3fbf9a;--fraud:#f4f6f8;--cost:#7d8794;--wrong:#b88bd0;--net:#f4f6f8}}
main{max-width:1240px;margin:0 auto;padding:20px 16px 40px}
h1{font-size:24px;margin:0 0 6px}
h2{font-size:18px;margin:32px 0 8px;overflow-wrap:anywhere}
h3{font-size:14px;margin:18px 0 6px}
p,.about li{color:var(--soft);margin:3px 0}
.notice{margin:10px 0}
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:12px}
.panel{padding:12px 14px}
.panel h3{margin:0}
.panel p{font-size:12px;margin:0 0 6px}
.panel .plot{margin-top:12px}
.panel>svg{width:100%;height:auto;display:block}
.legend{margin-bottom:4px}
.legend svg{width:11px;height:11px;margin-right:5px;vertical-align:-1px}
.name{fill:var(--text);font-size:13px}
.tick{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid)}
.zero{stroke:var(--zero)}
.block{fill:var(--block)}.flag{fill:var(--flag)}.stricter{fill:var(--stricter)}.milder{fill:var(--milder)}.fraud{fill:var(--fraud)}.cost{fill:var(--cost)}.wrong{fill:var(--wrong)}
.whisker{stroke-width:2}.whisker.block{stroke:var(--block)}.whisker.flag{stroke:var(--flag)}
.net{stroke:var(--net);stroke-width:3;fill:var(--net)}
.scroll{background:var(--panel);border:1px solid var(--edge);border-radius:6px;padding:2px 14px 8px}
th,td{text-align:right;padding:4px 0 4px 16px;border-bottom:1px solid var(--grid);vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}
tbody th{padding-top:14px;border-bottom-color:var(--edge)}
td.in{padding-left:14px!important;color:var(--soft)}
tr.sum td{font-weight:700}
td{white-space:nowrap}
.texts{min-width:940px}
.texts th,.texts td{text-align:left}
.texts td.number{text-align:right}
.texts td{overflow-wrap:anywhere;white-space:normal}
.texts td.time,.texts td.number{white-space:nowrap}
.outcome{white-space:nowrap;font-weight:600}
@media(max-width:860px){.figures{grid-template-columns:minmax(0,1fr)}}`
