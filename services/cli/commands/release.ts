// sluice release: releases a blocked card.

import type { Command } from 'commander'
import { releaseControlOf } from '../../core/control/deployment.ts'
import type { CardLease } from '../../core/decision/leases.ts'
import { SluiceError } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { readLiveLeases } from '../../platform/kafka/block-topics.ts'
import { publishControl } from '../../platform/kafka/control-topic.ts'
import { printJson, printLine } from '../command.ts'
import {
  addChangeOptions,
  authorOf,
  openControl,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { environmentHelp } from './environment-help.ts'

const EXAMPLES = `
Examples:
  $ sluice release tok_4f1c --reason "the holder called"
  $ sluice release 1f6a0c7e9d2b48f0a3c5e7d9b1f30264 --reason "wrong merchant" --json

How blocks begin, grow and end: docs/leases.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const release = program
    .command('release')
    .argument('<alert id or card>', 'the alert that blocked the card, or the card')
    .summary('let go of a blocked card')
    .description(
      "Says on the control topic that a person releases the card's lease. The partition that owns the card publishes the " +
        'release as a revision of the alert, once, also after a restart. A later block of the card is another matter.',
    )
    .addHelpText('after', () => `\n${environmentHelp('release')}\n${EXAMPLES}`)
  addChangeOptions(release).action(async (named: string, options: ChangeOptions) => {
    const access = await openControl(options)
    const lease = chosen(await readLiveLeases(access), named)
    const word = {
      author: authorOf(options),
      reason: options.reason,
      atMs: systemClock.nowMs(),
    }
    const position = await publishControl(access, releaseControlOf(lease, word))
    const { card, alertId, grade, endMs } = lease
    if (options.json === true) {
      printJson({ position, card, alertId, grade, endMs, ...word })
      return
    }
    printLine(`card   ${card}`)
    printLine(`alert  ${alertId}`)
    printLine(`block  ${grade}, to ${new Date(endMs).toISOString()}`)
    printLine(
      `said at offset ${position} of ${access.topicPrefix}control; its partition publishes the release`,
    )
  })
}

/** @throws SluiceError SLUICE_LEASE_NOT_FOUND */
function chosen(leases: readonly CardLease[], named: string): CardLease {
  const found = leases.find(({ card, alertId }) => alertId === named || card === named)
  if (found !== undefined) return found
  throw new SluiceError(
    'SLUICE_LEASE_NOT_FOUND',
    `No active block has the alert or the card ${named}; ${leases.length} cards are blocked. It may have ended, or its ` +
      'alert was one of several of a blocked card: then name the card.',
  )
}
