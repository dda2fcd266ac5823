// What `sluice produce` prints: a line of progress that rewrites itself, and the summary.

import type { Summary } from '../../producer/index.ts'
import { printLine } from '../command.ts'

const CLEAR_LINE = '\r\u001b[K'

/** Rewrites the line of progress; for terminals only. */
export function showProgressLine(progress: Summary): void {
  const behind = progress.behindMs >= 100 ? `, ${progress.behindMs} ms behind schedule` : ''
  process.stderr.write(
    `${CLEAR_LINE}${count(progress.transactions)} transactions (${count(progress.transactionsPerSecond)}/s), ` +
      `${count(progress.labels)} labels, event time ${timeText(progress.lastEventTimeMs)}${behind}`,
  )
}

/** Makes room for the next line. */
export function clearProgressLine(): void {
  process.stderr.write(CLEAR_LINE)
}

/** Prints the summary for people. */
export function printSummary(summary: Summary): void {
  const seconds = (summary.elapsedMs / 1_000).toFixed(1)
  printLine(
    `Sent ${count(summary.transactions)} transactions, ${count(summary.labels)} labels and ` +
      `${count(summary.watermarks)} watermarks in ${seconds} s ` +
      `(${count(summary.transactionsPerSecond)} transactions/s), all acknowledged.`,
  )
  printLine(
    `Event time ${timeText(summary.firstEventTimeMs)} to ${timeText(summary.lastEventTimeMs)}.`,
  )
  const skipped = Object.entries(summary.skipped)
  if (skipped.length > 0) {
    printLine(
      `Rows left out: ${skipped.map(([reason, rows]) => `${reason} ${count(rows)}`).join(', ')}.`,
    )
  }
  const frauds = Object.entries(summary.fraudPatterns).filter(
    ([, transactions]) => transactions > 0,
  )
  if (frauds.length > 0) {
    printLine(
      `Fraud in it: ${frauds.map(([pattern, transactions]) => `${pattern} ${count(transactions)}`).join(', ')}.`,
    )
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function timeText(timeMs: number | null): string {
  return timeMs === null ? 'none' : new Date(timeMs).toISOString()
}
