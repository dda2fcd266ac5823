// An explained alert as lines for people, and as an object for programs.

import { redactText } from '../../core/card-numbers.ts'
import type { Alert, Receipt } from '../../core/wire/records.ts'
import { amountText } from '../alert-line.ts'
import { explanationJson, explanationLines } from '../features/explain-lines.ts'
import { tableLines } from '../table.ts'
import type { ExplainedAlert } from './gather.ts'

const MINOR_PER_UNIT = 100

/** Lines; at most `limit` transactions of each feature are listed. */
export function alertLines(
  { alerts, decision, receipts }: ExplainedAlert,
  limit: number,
): readonly string[] {
  const [first, ...later] = alerts
  const newest = later.at(-1) ?? first
  return [
    ...headingLines(first, newest),
    ...whyLines(newest.reasons.length === 0 ? first : newest),
    '',
    'Revisions',
    ...tableLines(alerts.map(revisionCells), { indent: '    ' }),
    '',
    'Receipts',
    ...(receipts.length === 0 ? ['    none'] : receipts.map(receiptText)),
    '',
    'Decision and features',
    ...explanationLines(decision, limit).map((line) => (line === '' ? '' : `    ${line}`)),
  ]
}

/** For programs. */
export function alertJson({ alerts, decision, receipts }: ExplainedAlert, limit: number): object {
  return {
    alertId: alerts[0].alertId,
    revisions: alerts,
    decision: {
      ...explanationJson(decision, limit),
      rules: decision.decision.rules,
      segment: decision.decision.segment,
      reasons: decision.decision.reasons,
      block: {
        modelDigest: decision.block.modelDigest,
        policyDigest: decision.block.policyDigest,
        policyVersion: decision.block.policyVersion,
        mode: decision.block.mode,
        backend: decision.block.backend,
      },
    },
    receipts,
  }
}

function headingLines(first: Alert, newest: Alert): readonly string[] {
  const { score, threshold } = newest
  const loss = newest.expectedLossMinor
  return tableLines([
    ['alert', first.alertId],
    ['action', `${newest.action}${newest.revision === 0 ? '' : `, revision ${newest.revision}`}`],
    ['transaction', `${safe(first.transactionId)}, card ${safe(first.card)}`],
    ['amount', `${amountText(first.amountMinor, first.currency)} ${first.currency}`],
    ['at', `${isoText(first.eventTimeMs)}, ${placesOf(first)}`],
    [
      'score',
      score === null ? 'none' : `${score}, from ${threshold === null ? 'no threshold' : threshold}`,
    ],
    [
      'expected loss',
      loss === null
        ? 'not known'
        : `${(loss / MINOR_PER_UNIT).toFixed(2)}, priority ${newest.priority}`,
    ],
    ['model', `${safe(newest.modelVersion)} (${newest.modelDigest})`],
    ['policy', `version ${newest.policyVersion} (${newest.policyDigest}), ${newest.mode}`],
    ['segment', newest.segment === null ? 'none' : safe(newest.segment)],
    ['annotations', newest.annotations.length === 0 ? 'none' : safe(newest.annotations.join(', '))],
    ['lease', leaseText(newest)],
  ])
}

function whyLines({ rules, reasons, counterfactual }: Alert): readonly string[] {
  return [
    '',
    'Rules that fired',
    ...(rules.length === 0
      ? ['    none']
      : rules.map(({ name, outcome, text }) => safe(`    ${name} (${outcome}): ${text}`))),
    '',
    'Reasons, the strongest first',
    ...(reasons.length === 0
      ? ['    none: no single feature stands out']
      : reasons.map(({ text }, index) => safe(`    ${index + 1}. ${text}`))),
    '',
    'What would have changed it',
    counterfactual === null
      ? '    nothing was found: not even the strongest features at their usual values together'
      : safe(`    ${counterfactual.text}`),
  ]
}

function revisionCells(alert: Alert): readonly string[] {
  const { revision, action, cause, decidedAtMs } = alert
  return [
    String(revision),
    isoText(decidedAtMs),
    action,
    cause ?? 'first',
    `lease ${leaseText(alert)}`,
  ]
}

function leaseText({ action, lease }: Alert): string {
  if (action === 'release') return 'released'
  if (lease === null) return 'none'
  return `${lease.grade}, ${isoText(lease.startMs)} to ${isoText(lease.endMs)}`
}

function receiptText({ revision, subscriber, status, reason, atMs }: Receipt): string {
  const why = reason === null ? '' : ` (${reason})`
  return safe(`    revision ${revision}  ${isoText(atMs)}  ${subscriber}: ${status}${why}`)
}

function placesOf({ merchant, terminal, country }: Alert): string {
  const places = [merchant, terminal, country].filter((place) => place !== null)
  return places.length === 0 ? 'no place given' : safe(places.join(', '))
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** What comes from outside: no control characters, no card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
