// The comparison on a terminal.

import type { Example } from '../../core/backtest/tallies.ts'
import { aboutLines, columnNames, comparedGroups } from './report-rows.ts'
import type { BacktestReport } from './run-backtest.ts'
import { tableLines } from '../table.ts'
import { count, CURRENCY, money, timeText } from './report-words.ts'

/** Longest reason on a line; the page shows all of it. */
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
    `  ${timeText(eventTimeMs)}  ${money(BigInt(referenceMinor))} ${CURRENCY}  ${live.outcome} -> ${policy.outcome}  ` +
    `${told}  ${truth}  ${transactionId}  ${merchant ?? ''}  ${shown === '' ? 'by the score' : shown}`
  // Reasons of lists are written by people: no control characters reach the terminal.
  return line.replaceAll(/\p{Cc}/gu, '?')
}
