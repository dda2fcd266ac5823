// sluice alerts redeliver: sends again what a target of the forwarder did not take.

import { createInterface } from 'node:readline/promises'
import { InvalidArgumentError, type Command } from 'commander'
import {
  FORWARD_DEAD_REASONS,
  loadForwardConfig,
  loadTargets,
  openSender,
  redeliver,
  type ForwardDeadReason,
  type PlannedRedelivery,
} from '../../alerts/index.ts'
import { SluiceError } from '../../core/errors.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { tableLine } from '../table.ts'
import { whereToLook } from './alerts-place.ts'
import { addStreamOptions, momentOption, type Moment } from './dead-letters-options.ts'

const SEND_DEFAULT = 1_000
const SEND_MAX = 100_000
/** Alerts are printed as they are sent. Time, event id, reason. */
const FORM = { widths: [19, 34, 18] }

interface RedeliverCommandOptions {
  readonly targets: string
  readonly target: string
  readonly reason?: readonly ForwardDeadReason[]
  readonly since?: Moment
  readonly limit: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
}

const EXAMPLES = `
Examples:
  $ sluice alerts redeliver --targets targets.yaml --target core-banking --dry-run
  $ sluice alerts redeliver --targets targets.yaml --target core-banking --reason rejected --since 2h --yes

Why alerts are given up, and what to repair first: docs/webhooks.md, docs/runbook.md.`

/** Adds the command to `sluice alerts`. */
export function registerRedeliver(alerts: Command): void {
  const command = alerts
    .command('redeliver')
    .summary('send again what a target did not take')
    .description(
      'Sends alerts again that a target did not take, in the order of the topic and under the same ids. What was taken ' +
        'since, what a later revision has replaced and what has left the topic is left out.',
    )
    .requiredOption('--targets <file>', 'targets file of the forwarder')
    .requiredOption('--target <name>', 'whose alerts')
    .option('--reason <reason,...>', 'only these reasons', reasonsOption)
    .option('--since <time>', 'given up from this time on, such as 2h', momentOption)
    .option('--limit <count>', 'send at most this many', parseInteger(1, SEND_MAX), SEND_DEFAULT)
    .option('--dry-run', 'say what would be sent, and send nothing')
    .option('--yes', 'do not ask')
  addStreamOptions(command).addHelpText('after', EXAMPLES).action(run)
}

async function run(options: RedeliverCommandOptions): Promise<void> {
  const isDry = options.dryRun === true
  if (!isDry && options.yes !== true && !process.stdin.isTTY) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'This would send alerts and nobody can be asked here; give --yes, or --dry-run to see what it would send.',
    )
  }
  const config = loadForwardConfig(process.env)
  const target = loadTargets(options.targets, process.env).find(
    ({ name }) => name === options.target,
  )
  if (target === undefined) {
    throw new SluiceError('SLUICE_USAGE', `${options.targets} has no target "${options.target}".`)
  }
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const signal = interruptSignal()
  const { since } = options
  const taken: PlannedRedelivery[] = []
  const planned = await redeliver(
    {
      ...{ brokers, security, topicPrefix, target },
      codecs: createCodecs(content),
      reasons: options.reason ?? null,
      sinceMs:
        since === undefined
          ? null
          : 'atMs' in since
            ? since.atMs
            : systemClock.nowMs() - since.agoMs,
      sendMax: options.limit,
      clock: systemClock,
      random: () => Math.random(),
      send: openSender(systemClock),
      confirm: async (due) => !isDry && (options.yes === true || (await ask(due, signal))),
      onSent: (each, verdict, status) => {
        if (verdict === 'delivered') taken.push(each)
        print(each, verdict, status, options)
      },
    },
    signal,
  )
  for (const each of planned) {
    if (isDry || each.state !== 'send') print(each, each.state, each.letter.status, options)
  }
  const due = planned.filter(({ state }) => state === 'send').length
  const done = isDry ? 'a dry run: nothing was sent' : `${taken.length} taken`
  printProgress(`${planned.length} given up, ${due} to send; ${done}`)
}

function print(
  { letter }: PlannedRedelivery,
  result: string,
  status: number | null,
  { json }: RedeliverCommandOptions,
): void {
  const { eventId, partition, offset, reason, atMs } = letter
  if (json === true) {
    printLine(JSON.stringify({ eventId, partition, offset, reason, atMs, result, status }))
    return
  }
  const at = new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')
  const answer = status === null ? '-' : String(status)
  printLine(tableLine([at, eventId ?? '-', reason ?? '-', result, answer], FORM))
}

async function ask(planned: readonly PlannedRedelivery[], signal: AbortSignal): Promise<boolean> {
  const count = planned.filter(({ state }) => state === 'send').length
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Send ${count} alert(s) again? [y/N] `, { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

function reasonsOption(text: string): readonly ForwardDeadReason[] {
  const reasons = text
    .split(',')
    .map((word) => FORWARD_DEAD_REASONS.find((known) => known === word))
  const known = reasons.filter((reason) => reason !== undefined)
  if (known.length === reasons.length) return known
  throw new InvalidArgumentError(`Give some of ${FORWARD_DEAD_REASONS.join(', ')}.`)
}
