// sluice label: records an analyst's verdict about a transaction.

import { userInfo } from 'node:os'
import { Option, type Command } from 'commander'
import {
  label,
  LABEL_SOURCES_SAID,
  loadQueueConfig,
  openLabelWriter,
  readQueue,
  type LabelOutcome,
} from '../../alerts/index.ts'
import type { NamedFinding } from '../../core/cases.ts'
import { SluiceError } from '../../core/errors.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import {
  interruptSignal,
  parseFreeText,
  parseIdentifier,
  parseInteger,
  printJson,
  printLine,
} from '../command.ts'
import { environmentHelp } from './environment-help.ts'
import { registerLabelImport } from './label-import.ts'
import { openQueueState } from './queue.ts'

const FINDINGS = {
  fraud: 'confirmed_fraud',
  genuine: 'genuine',
  inconclusive: 'inconclusive',
} as const satisfies Readonly<Record<string, NamedFinding>>

const TEXT_CHARACTERS_MAX = 500

interface LabelOptions {
  readonly verdict?: keyof typeof FINDINGS
  readonly reason?: string
  readonly author?: string
  readonly source: (typeof LABEL_SOURCES_SAID)[number]
  readonly card?: string
  readonly eventTimeMs?: number
  readonly merchant?: string
  readonly terminal?: string
  readonly device?: string
  readonly ipNetwork?: string
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice label tx-000123 --verdict fraud --reason 'the holder did not make it'
  $ sluice label 5f0c...a1 --verdict inconclusive --reason 'nobody answers the phone' --author ana
  $ sluice label tx-9 --verdict genuine --reason 'called back' --card card-00042 --event-time-ms 1767225600000
  $ sluice label import chargebacks.csv --mapping chargebacks.yaml --check`

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('label')
    .argument('<id>', 'of the transaction or the alert', parseIdentifier('The id'))
    .summary('label a transaction: fraud, genuine, or inconclusive')
    .description(
      'Writes a label for the transaction, or for that of the alert, with this id. Card, time and entities come ' +
        'from the alert, or from the options if no alert is remembered. A repeated label is written once. An ' +
        'inconclusive finding writes no label, and removes the alert from the queue.',
    )
    .addOption(new Option('--verdict <verdict>', 'what was found').choices(Object.keys(FINDINGS)))
    .option('--reason <text>', 'reason, for later review', parseFreeText('--reason'))
    .option(
      '--author <name>',
      'author of the finding (default: the user of this machine)',
      parseFreeText('--author'),
    )
    .addOption(
      new Option('--source <source>', 'source of the label')
        .choices([...LABEL_SOURCES_SAID])
        .default('analyst'),
    )
    .option('--card <token>', 'card of the transaction', parseIdentifier('--card'))
    .option(
      '--event-time-ms <ms>',
      'event time of the transaction, ms UTC',
      parseInteger(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--merchant <merchant>', 'merchant of the transaction', parseIdentifier('--merchant'))
    .option('--terminal <terminal>', 'terminal of the transaction', parseIdentifier('--terminal'))
    .option('--device <device>', 'device of the transaction', parseIdentifier('--device'))
    .option('--ip-network <network>', 'network of the transaction', parseIdentifier('--ip-network'))
    .option('--json', 'print JSON')
    .addHelpText('after', () => `\n${environmentHelp('label')}\n${EXAMPLES}`)
    .action(run)
  registerLabelImport(command)
}

async function run(id: string, options: LabelOptions): Promise<void> {
  const { verdict, reason } = options
  // Not mandatory for the parser, which would ask for them in "label import" too.
  if (verdict === undefined || reason === undefined)
    throw new SluiceError('SLUICE_USAGE', 'Give --verdict and --reason.')
  for (const text of [id, reason, options.author]) {
    if (text === undefined || (text !== '' && text.length <= TEXT_CHARACTERS_MAX)) continue
    throw new SluiceError(
      'SLUICE_USAGE',
      `Give id, --reason and --author as text of 1 to ${TEXT_CHARACTERS_MAX} characters.`,
    )
  }
  const config = loadQueueConfig(process.env)
  const { topicPrefix, schemaRegistryUrl: url } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const state = await openQueueState(config)
  const signal = interruptSignal()
  const changes = await readQueue(config, state, signal)
  const catchUp = (): Promise<void> => changes.readOn(state, signal)
  const writer = await openLabelWriter({ ...config, codecs: createCodecs(content) })
  try {
    const outcome = await label(
      {
        id,
        finding: FINDINGS[verdict],
        source: options.source,
        author: options.author ?? userInfo().username,
        reason,
        idempotencyKey: null,
        card: options.card ?? null,
        eventTimeMs: options.eventTimeMs ?? null,
        merchant: options.merchant ?? null,
        terminal: options.terminal ?? null,
        device: options.device ?? null,
        ipNetwork: options.ipNetwork ?? null,
      },
      { state, writer, catchUp },
      systemClock.nowMs(),
    )
    print(id, outcome, options.json === true)
  } finally {
    await writer.close()
  }
}

function print(id: string, outcome: LabelOutcome, isJson: boolean): void {
  switch (outcome.kind) {
    case 'unknown':
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `No alert "${id}", nor one of a transaction "${id}", is remembered; give --card and --event-time-ms of the ` +
          'transaction, or make SLUICE_QUEUE_HORIZON_MS longer.',
      )
    case 'other_card':
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `The alert of "${id}" is of another card than --card says; leave --card out, or correct the id.`,
      )
    case 'conflict':
      throw new Error('A label without idempotency key cannot contradict one.')
    case 'new':
    case 'repeated': {
      const { disposition, isLabel, kind } = outcome
      const { transactionId, alertId, finding, source, atMs } = disposition
      if (isJson) {
        printJson({ said: kind, isLabel, transactionId, alertId, finding, source, atMs })
        return
      }
      const what = isLabel ? 'label written' : 'finding written, which is no label'
      printLine(
        `${transactionId}: ${finding}; ${kind === 'new' ? what : 'known already, nothing written'}`,
      )
    }
  }
}
