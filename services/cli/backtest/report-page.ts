// The report as one HTML file: no script, nothing loaded from elsewhere, every text escaped.

import type { Changed, Example, ShownOutcome } from '../../core/backtest/tallies.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import { escapeHtml } from '../charts/html.ts'
import {
  accuracyFigure,
  alertsFigure,
  changesFigure,
  daysFigure,
  valueFigure,
  type Figure,
} from './charts.ts'
import { REPORT_STYLE } from './page-style.ts'
import { aboutLines, columnNames, comparedGroups } from './report-rows.ts'
import { count, CURRENCY, money, percent, timeText } from './report-words.ts'
import type { BacktestReport } from './run-backtest.ts'

type Policy = BacktestReport['policies'][number]

/** Set apart in the table. */
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
  const heading = `<h3>${title}: ${count(changed)} transactions of ${money(minor)} ${CURRENCY}</h3>`
  if (examples.length === 0) return heading
  const head = [
    'time (UTC)',
    `amount, ${CURRENCY}`,
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
