// sluice queue: the open cases, the most urgent first.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Command } from 'commander'
import {
  caseView,
  followQueue,
  loadQueueConfig,
  QueueState,
  readQueue,
  type Queue,
  type QueueConfig,
} from '../../alerts/index.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { Interrupted, interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'
import { queueLines } from './queue-lines.ts'

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
  // Ctrl-C is how one leaves it; a program that ends it sees the usual code.
  const reason: unknown = interrupted.reason
  if (reason instanceof Interrupted) process.exitCode = reason.exitCode
}

/** An empty state with what it needs to read the topics. */
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
