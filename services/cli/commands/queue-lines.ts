// The queue as a table for people.

import type { Queue } from '../../alerts/index.ts'
import type { Case } from '../../core/cases.ts'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { tableLines } from '../table.ts'

const MINOR_PER_MAJOR = 100
const HEADINGS = ['priority', 'expected loss', 'alerts', 'cards', 'since (UTC)', 'what', 'case']

/** A line of numbers, and a table of the first cases. */
export function queueLines(
  { cases, openAlerts, leftOut }: Queue,
  limit: number,
): readonly string[] {
  const dropped = leftOut === 0 ? '' : `; ${leftOut} older alerts were left out`
  const first = `${cases.length} open cases with ${openAlerts} alerts${dropped}`
  if (cases.length === 0) return [first]
  const lines = tableLines([HEADINGS, ...cases.slice(0, limit).map(rowOf)])
  const more = cases.length > limit ? [`... and ${cases.length - limit} more (--limit)`] : []
  return [first, ...lines, ...more]
}

function rowOf(each: Case): readonly string[] {
  const loss = (each.expectedLossMinor / MINOR_PER_MAJOR).toFixed(2)
  const [card = ''] = each.cards
  const others = each.cards.length > 1 ? ` and ${each.cards.length - 1} more` : ''
  const terminals = each.compromisedTerminals.join(', ')
  return [
    String(each.priority),
    `${loss} ${DEFAULT_RATES.reference}`,
    String(each.alerts.length),
    String(each.cards.length),
    new Date(each.firstMs).toISOString().slice(0, 19).replace('T', ' '),
    terminals === '' ? `card ${card}${others}` : `terminal ${terminals}`,
    each.caseId,
  ]
}
