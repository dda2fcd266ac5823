// Formats one alert for people, on one line.

import type { Enforced } from '../core/active-blocks.ts'
import { minorDigitsOf } from '../core/currency.ts'
import type { Alert, AlertAction, AlertCause } from '../core/wire/records.ts'
import { tableLine } from './table.ts'

const RED = '\u001b[31m'
const YELLOW = '\u001b[33m'
const GREEN = '\u001b[32m'
const RESET = '\u001b[0m'
/** Alerts are printed as they arrive, so widths are fixed. Time, card, amount, action, score. */
const FORM = { align: 'llr', widths: [19, 12, 17, 7, 5] }
const MINOR_DIGITS_DEFAULT = 2

const DETAIL_INDENT = ' '.repeat(21)
const CAUSE_TEXTS: Readonly<Record<AlertCause, string>> = {
  unknown: 'for a reason that this version does not know',
  late_transaction: 'a payment that came late has changed it',
  extended: 'extended by new evidence',
  expired: 'its time is over',
  person: 'let go by a person',
  genuine_label: 'the payment was genuine',
  correction: 'a label was taken back',
}

/** True when output to this stream is coloured: on terminals only, and not when NO_COLOR is set. */
export function wantsColor(isTTY: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTTY && (env['NO_COLOR'] ?? '') === ''
}

/** Event time in UTC, card, amount, action, score, and the first reason. */
export function alertLine(alert: Alert, isColored: boolean): string {
  const action = alert.action.toUpperCase()
  const reason =
    causeText(alert) ?? alert.rules[0]?.text ?? alert.reasons[0]?.text ?? noReason(alert)
  const cells = [
    new Date(alert.eventTimeMs).toISOString().slice(0, 19).replace('T', ' '),
    printable(alert.card),
    `${amountText(alert.amountMinor, alert.currency)} ${alert.currency}`,
    isColored ? `${colorOf(alert.action)}${action}${RESET}` : action,
    alert.score === null ? 'none' : alert.score.toFixed(3),
    printable(reason),
  ]
  return tableLine(cells, FORM)
}

/** The counterfactual of a block, on a line of its own below it; null for any other alert. */
export function whyNotLine({ action, cause, counterfactual }: Alert): string | null {
  if (action !== 'block' || cause !== null || counterfactual === null) return null
  return `${DETAIL_INDENT}${printable(counterfactual.text)}`
}

/** The receipt of an enforcer, on a line of its own. */
export function receiptLine({ card, action }: Alert, { status, reason }: Enforced): string {
  const what = action === 'release' ? 'release' : 'block'
  const because = reason === null ? '' : ` (${reason.replaceAll('_', ' ')})`
  return `${DETAIL_INDENT}receipt: ${what} of ${printable(card)} ${status.replace('_', ' ')}${because}`
}

/** Formats minor units as the currency does: 12345 is 123.45 in EUR, and 12,345 in JPY. */
export function amountText(amountMinor: number, currency: string): string {
  const digits = minorDigitsOf(currency) ?? MINOR_DIGITS_DEFAULT
  return (amountMinor / 10 ** digits).toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** Removes control characters: text from a topic must not control the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}

/** The cause of a revision; null for the first alert. */
function causeText({ cause, lease }: Alert): string | null {
  if (cause === null) return null
  const text = CAUSE_TEXTS[cause]
  const end = cause === 'extended' && lease !== null ? `, until ${minuteOf(lease.endMs)}` : ''
  return `${text}${end}`
}

function minuteOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ')
}

function noReason(alert: Alert): string {
  return alert.score === null ? 'not scored' : 'no single feature stands out'
}

function colorOf(action: AlertAction): string {
  switch (action) {
    case 'block':
      return RED
    case 'flag':
    case 'unknown':
      return YELLOW
    case 'release':
      return GREEN
  }
}
