// sluice breaker: shows whether the breakers of a stream have tripped, and resets them.

import type { Command } from 'commander'
import { breakerControlOf } from '../../core/control/deployment.ts'
import { breakersIn } from '../../core/decision/block-guard.ts'
import type { BreakerStatus } from '../../core/decision/breaker.ts'
import { decodeBlockState } from '../../core/decision/block-guard.ts'
import { systemClock } from '../../platform/clock.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { readGroupId } from '../../platform/config/env-reader.ts'
import { readBreakerResets, readKeptBlocks } from '../../platform/kafka/block-topics.ts'
import { type ControlAccess, publishControl } from '../../platform/kafka/control-topic.ts'
import { printJson, printLine } from '../command.ts'
import {
  type ChangeOptions,
  type ModelOptions,
  addChangeOptions,
  addStreamOptions,
  authorOf,
  openControl,
} from '../model/model-stream.ts'
import { environmentHelp } from './environment-help.ts'

const EXAMPLES = `
Examples:
  $ sluice breaker status
  $ sluice breaker reset --reason "the model before is back"

What trips a breaker, and what to look at before a reset: docs/leases.md.`

interface StatusOptions extends ModelOptions {
  readonly group?: string
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const breaker = program
    .command('breaker')
    .summary('show whether blocks are capped now, and reset that')
    .description(
      'A breaker caps how much is blocked. One that has tripped makes flags of all blocks of its partition until a person ' +
        'resets it.',
    )
    .addHelpText('after', () => `\n${environmentHelp('breaker')}\n${EXAMPLES}`)
  addStreamOptions(breaker.command('status').summary('each breaker of each partition'))
    .option(
      '--group <id>',
      'group of the scorers (default SLUICE_GROUP_ID, or the topic prefix and sluice-scorer)',
    )
    .option('--json', 'print JSON')
    .action(showStatus)
  addChangeOptions(breaker.command('reset').summary('close all that have tripped')).action(reset)
}

async function showStatus(options: StatusOptions): Promise<void> {
  const access = await openControl(options)
  const groupId = groupOf(options, access.topicPrefix)
  const { resets, partitions } = await readBreakers(access, groupId)
  if (options.json === true) {
    printJson({ resets, partitions })
    return
  }
  printLine(`resets  ${resets}`)
  for (const { partition, part, isOpen, blocksInMinute } of partitions) {
    const state = isOpen ? 'TRIPPED: blocks are flags' : 'closed'
    printLine(
      `partition ${partition}  ${part}  ${state}  ${blocksInMinute} blocks in its last minute`,
    )
  }
  if (partitions.length === 0)
    printLine(`no partition of group ${groupId} has committed a breaker yet`)
}

async function reset(options: ChangeOptions): Promise<void> {
  const access = await openControl(options)
  const resets = (await readBreakerResets(access)) + 1
  const word = { author: authorOf(options), reason: options.reason, atMs: systemClock.nowMs() }
  const position = await publishControl(access, breakerControlOf(resets, word))
  if (options.json === true) {
    printJson({ position, resets, ...word })
    return
  }
  printLine(`resets  ${resets}`)
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; partitions follow with their next batch`,
  )
}

// Status of the breakers of a stream: the commits of its partitions, compared with the operators' resets.

/** One breaker of one partition. */
export interface PartitionBreaker extends BreakerStatus {
  readonly partition: number
  /** True when the breaker turns blocks into flags. */
  readonly isOpen: boolean
}

interface BreakerStatuses {
  /** Number of times that operators have reset the breakers. */
  readonly resets: number
  readonly partitions: readonly PartitionBreaker[]
}

/** @throws SluiceError as `readToEnd` and `readKeptBlocks`. */
export async function readBreakers(
  access: ControlAccess,
  groupId: string,
): Promise<BreakerStatuses> {
  const resets = await readBreakerResets(access)
  const partitions = (await readKeptBlocks(access, groupId)).flatMap(({ partition, kept }) =>
    breakersIn(decodeBlockState(kept).guard).map((breaker) => ({
      ...{ partition, ...breaker },
      isOpen: breaker.trippedAt !== null && resets <= breaker.trippedAt,
    })),
  )
  return { resets, partitions }
}

/**
 * The consumer group of the option, else of the environment, else that of the prefix. @throws SluiceError
 * SLUICE_CONFIG_INVALID.
 */
export function groupOf({ group }: { readonly group?: string }, topicPrefix: string): string {
  const read = new EnvReader(process.env)
  const configured = readGroupId(read, topicPrefix)
  read.throwIfInvalid()
  return group ?? configured
}
