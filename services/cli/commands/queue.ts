// sluice queue: the open cases, most urgent first.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Command } from 'commander'
import {
  type Queue,
  type QueueConfig,
  QueueState,
  caseView,
  followQueue,
  loadQueueConfig,
  readQueue,
} from '../../alerts/index.ts'
import type { Case } from '../../core/cases.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { Interrupted, interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { tableLines } from '../table.ts'
import { environmentHelp } from './environment-help.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

const LIMIT_DEFAULT = 20
const LIMIT_MAX = 1_000
const EVERY_MS = 2_000

interface QueueOptions {
  readonly json?: boolean
  readonly watch?: boolean
  readonly limit: number
}

const EXAMPLES = `
Examples:
  $ sluice queue
  $ sluice queue --watch --limit 10
  $ sluice queue --json | jq '.cases[] | select(.compromisedTerminals != [])'

What makes a case, and what leaves the queue: docs/alerts.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('queue')
    .summary('show the open cases, the most urgent first')
    .description(
      'Reads alerts, labels and dispositions, and shows what is open: alerts of one card, or of one terminal that many ' +
        'cards had alerts at, are one case. In the order of priority, then of expected loss.',
    )
    .option('--json', 'print JSON; with --watch one line each time')
    .option('--watch', `show it again every ${EVERY_MS / 1_000} s, until Ctrl-C`)
    .option('--limit <count>', 'cases that are shown', parseInteger(1, LIMIT_MAX), LIMIT_DEFAULT)
    .addHelpText('after', () => `\n${environmentHelp('queue')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: QueueOptions): Promise<void> {
  const config = loadQueueConfig(process.env)
  const state = await openQueueState(config)
  const interrupted = interruptSignal()
  if (options.watch !== true) {
    await readQueue(config, state, interrupted)
    print(state.queue(), options)
    tellUnreadable(state)
    return
  }
  const stop = new AbortController()
  const signal = AbortSignal.any([interrupted, stop.signal])
  let showing: Promise<void> = Promise.resolve()
  try {
    await followQueue(config, state, signal, () => {
      printProgress('following; Ctrl-C ends it')
      showing = showUntil(signal, state, options)
    })
  } finally {
    stop.abort()
    await showing
  }
  // Ctrl-C is the normal way to leave. A program that stops it sees the usual exit code.
  const reason: unknown = interrupted.reason
  if (reason instanceof Interrupted) process.exitCode = reason.exitCode
}

/** An empty state, and the connection that fills it. */
export async function openQueueState(config: QueueConfig): Promise<QueueState> {
  const { topicPrefix, schemaRegistryUrl: url, horizonMs, cases } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const codecs = createCodecs(content)
  return new QueueState({ topicPrefix, horizonMs, cases, clock: systemClock, codecs })
}

async function showUntil(
  signal: AbortSignal,
  state: QueueState,
  options: QueueOptions,
): Promise<void> {
  while (!signal.aborted) {
    print(state.queue(), options)
    await sleepMs(EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}

function print({ cases, ...rest }: Queue, { json, watch, limit }: QueueOptions): void {
  if (json === true) {
    const value = { ...rest, openCases: cases.length, cases: cases.slice(0, limit).map(caseView) }
    printLine(watch === true ? JSON.stringify(value) : JSON.stringify(value, null, 2))
    return
  }
  for (const line of queueLines({ ...rest, cases }, limit)) printLine(line)
}

function tellUnreadable({ unreadable }: QueueState): void {
  if (unreadable > 0) printProgress(`${unreadable} messages of the topics could not be read`)
}

// The queue as a table for people.

const MINOR_PER_MAJOR = 100
const HEADINGS = ['priority', 'expected loss', 'alerts', 'cards', 'since (UTC)', 'what', 'case']

/** A line of totals, and a table of the first cases. */
function queueLines({ cases, openAlerts, leftOut }: Queue, limit: number): readonly string[] {
  const dropped = leftOut === 0 ? '' : `; ${leftOut} older alerts were left out`
  const first = `${cases.length} open cases with ${openAlerts} alerts${dropped}`
  if (cases.length === 0) return [first]
  const lines = tableLines([HEADINGS, ...cases.slice(0, limit).map(rowOf)])
  const more = cases.length > limit ? [`... and ${cases.length - limit} more (--limit)`] : []
  return [first, ...lines, ...more]
}

function rowOf(each: Case): readonly string[] {
  const loss = each.expectedLossMinor
  const [card = ''] = each.cards
  const others = each.cards.length > 1 ? ` and ${each.cards.length - 1} more` : ''
  const terminals = each.compromisedTerminals.join(', ')
  return [
    String(each.priority),
    loss === null
      ? 'unknown'
      : `${(loss / MINOR_PER_MAJOR).toFixed(2)} ${configuredRates().reference}`,
    String(each.alerts.length),
    String(each.cards.length),
    new Date(each.firstMs).toISOString().slice(0, 19).replace('T', ' '),
    terminals === '' ? `card ${card}${others}` : `terminal ${terminals}`,
    each.caseId,
  ]
}
