// What a redrive would do and has done, as lines for people and as JSON for programs.

import { formatPosition, REDRIVEN_FROM_HEADER } from '../../core/redrive.ts'
import { tableLine, tableLines } from '../table.ts'
import { safeText, timeText } from './letter-lines.ts'
import { REDRIVE_STATES, STATE_TEXTS, type PlannedLetter } from './redrive-plan.ts'

/** Letters are printed as they are sent. Time, position, reason. */
const FORM = { widths: [19, 24, 21] }

/** One letter on one line: which message, why it had failed, and what becomes of it. */
export function plannedLine(planned: PlannedLetter, topicPrefix: string, isSent: boolean): string {
  const { letter } = planned
  const cells = [
    timeText(letter.decidedAtMs),
    formatPosition(letter).slice(topicPrefix.length),
    safeText(letter.reason),
    outcomeText(planned, isSent),
  ]
  return tableLine(cells, FORM)
}

function outcomeText({ letter, state, target, detail }: PlannedLetter, isSent: boolean): string {
  if (state === 'send' && target !== null) {
    const move = target.partition === letter.partition ? '' : ` (was ${letter.partition})`
    const warning = detail === null ? '' : `, and would be refused again: ${detail}`
    return `${isSent ? 'sent' : 'send'} ${letter.payloadBytes} bytes to partition ${target.partition}${move}${warning}`
  }
  return detail === null ? STATE_TEXTS[state] : `${STATE_TEXTS[state]}: ${detail}`
}

/** A planned letter for programs; `isSent` tells a plan from what was done. */
export function plannedJson(planned: PlannedLetter, isSent: boolean): Record<string, unknown> {
  const { letter, state, target, detail } = planned
  return {
    position: formatPosition(letter),
    reason: letter.reason,
    state: state === 'send' && isSent ? 'sent' : state,
    detail,
    toTopic: target === null ? null : letter.topic,
    toPartition: target?.partition ?? null,
    bytes: target === null ? null : letter.payloadBytes,
    headers: target === null ? null : { [REDRIVEN_FROM_HEADER]: formatPosition(letter) },
  }
}

/** How many letters there are of each state, in the order of the states. */
export function stateCounts(
  planned: readonly PlannedLetter[],
): readonly { readonly state: PlannedLetter['state']; readonly count: number }[] {
  return REDRIVE_STATES.map((state) => ({
    state,
    count: planned.filter((each) => each.state === state).length,
  })).filter(({ count }) => count > 0)
}

/** The counts as lines. */
export function stateLines(planned: readonly PlannedLetter[], isSent: boolean): readonly string[] {
  const rows = stateCounts(planned).map(({ state, count }) => [
    String(count),
    state === 'send' && isSent ? 'sent' : STATE_TEXTS[state],
  ])
  return tableLines(rows, { align: 'r' })
}
