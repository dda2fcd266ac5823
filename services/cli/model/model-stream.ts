// Where the stream and the store are whose models are looked at and changed.

import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { EnvReader } from '../../platform/config/env-reader.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { defaultStore } from '../../platform/model-store.ts'
import { brokersOption } from '../commands/alerts-options.ts'
import { parseFreeText, repositoryRoot } from '../command.ts'
import { openStream, type StreamOptions } from '../features/open-stream.ts'

export interface ModelOptions extends StreamOptions {
  readonly store?: string
}

/** What a change must say about itself. */
export interface ChangeOptions extends ModelOptions {
  readonly reason: string
  readonly author?: string
}

/** The model store of the option, else of the environment, else that of this checkout. */
export function storeOf({ store }: Pick<ModelOptions, 'store'>): string {
  const read = new EnvReader(process.env)
  const configured = read.value('SLUICE_MODEL_STORE')
  read.throwIfInvalid()
  return store ?? configured ?? defaultStore(repositoryRoot())
}

export function openControl(options: ModelOptions): Promise<ControlAccess> {
  return openStream(options)
}

/** Who is at the keyboard; containers may know no name for their user. */
export function authorOf({ author }: Pick<ChangeOptions, 'author'>): string {
  if (author !== undefined) return author
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}

/** Options of every command that reads the store. */
export function addStoreOption(command: Command): Command {
  return command.option(
    '--store <folder>',
    'model store (default SLUICE_MODEL_STORE or .sluice/models)',
  )
}

/** Options of every command that reads the control topic. */
export function addStreamOptions(command: Command): Command {
  return addStoreOption(command)
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      "put before topic names (default SLUICE_TOPIC_PREFIX, or a running demo's, or none)",
    )
}

/** Options of every command that changes what is in force. */
export function addChangeOptions(command: Command): Command {
  return addStreamOptions(command)
    .requiredOption(
      '--reason <text>',
      'why; recorded in the control message',
      parseFreeText('--reason'),
    )
    .option(
      '--author <name>',
      'who; recorded in the control message (default: the user)',
      parseFreeText('--author'),
    )
    .option('--json', 'print JSON')
}
