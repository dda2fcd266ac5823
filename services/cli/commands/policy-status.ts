// sluice policy status: one look at what decides.

import type { Command } from 'commander'
import { systemClock } from '../../platform/clock.ts'
import { groupOf } from '../breaker/breaker-status.ts'
import { printJson, printLine } from '../command.ts'
import { addStreamOptions, openControl, storeOf, type ModelOptions } from '../model/model-stream.ts'
import { scorerOption, usualScorers } from '../policy/scorer-addresses.ts'
import { gatherStatus, type PolicyStatus } from '../policy/status/policy-status.ts'
import { statusJson } from '../policy/status/status-json.ts'
import { statusLines } from '../policy/status/status-lines.ts'

const EXIT_NOT_AS_ASKED = 1

const EXAMPLES = `
Examples:
  $ sluice policy status
  $ sluice policy status --scorer 127.0.0.1:9464 --scorer 127.0.0.1:9465
  $ sluice policy status --json | jq .active.version`

interface StatusOptions extends ModelOptions {
  readonly scorer?: readonly string[]
  readonly group?: string
}

/** Adds the subcommand to `sluice policy`. */
export function registerPolicyStatus(policy: Command): void {
  const status = policy
    .command('status')
    .summary('one look at what decides')
    .description(
      'Shows the policy that decides and who said so, its modes, the shadow, lists, breakers, what a rollback goes back ' +
        'to, and whether running scorers serve it. Exits 1 when what is asked for is not in the store, or when a scorer ' +
        'serves something else or, named with --scorer, does not answer.',
    )
    .option(
      '--scorer <address>',
      'metrics page of a scorer, host:port or URL; may be given often (default: SLUICE_METRICS_HOST and _PORT)',
      scorerOption,
    )
    .option(
      '--group <id>',
      'group of the scorers (default SLUICE_GROUP_ID, or the topic prefix and sluice-scorer)',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
  addStreamOptions(status).action(run)
}

async function run(options: StatusOptions): Promise<void> {
  const access = await openControl(options)
  const status = await gatherStatus({
    access,
    store: storeOf(options),
    group: groupOf(options, access.topicPrefix),
    scorers: options.scorer ?? usualScorers(),
    isGuess: options.scorer === undefined,
    nowMs: systemClock.nowMs(),
  })
  if (options.json === true) printJson(statusJson(status))
  else for (const line of statusLines(status)) printLine(line)
  if (!isAsAsked(status)) process.exitCode = EXIT_NOT_AS_ASKED
}

function isAsAsked({ active, lists, scorers }: PolicyStatus): boolean {
  const isWhole = active.problem === null && lists.every(({ problem }) => problem === null)
  const isServed = scorers.asked.every(
    ({ verdict }) =>
      verdict === 'serves' ||
      (scorers.isGuess && (verdict === 'unreachable' || verdict === 'no_scorer')),
  )
  return isWhole && isServed
}
