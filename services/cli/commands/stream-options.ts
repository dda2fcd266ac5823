// Options shared by several commands: connection to the stream, and times.

import { InvalidArgumentError, type Command } from 'commander'
import { readLivingDemos, demoName } from '../../../tools/demo/demo-record.ts'
import { stackPaths } from '../../../tools/servers/stack-record.ts'
import type { AlertsConfig } from '../../alerts/index.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { repositoryRoot, printProgress } from '../command.ts'
import { parseDurationMs, parseEventTimeMs } from '../../producer/index.ts'

/** Brokers and prefix of the options, else of the environment, else of a running demo, which is then printed. */
export function whereToLook(
  options: { readonly brokers?: readonly string[]; readonly topicPrefix?: string },
  config: Pick<AlertsConfig, 'topicPrefix' | 'brokers' | 'security'>,
): KafkaConnection & { readonly topicPrefix: string } {
  const topicPrefix = options.topicPrefix ?? config.topicPrefix
  const { security } = config
  const brokers = options.brokers ?? config.brokers
  if (topicPrefix !== null) return { brokers, security, topicPrefix }
  const [demo] = readLivingDemos(stackPaths(repositoryRoot()).state)
  if (demo === undefined) return { brokers, security, topicPrefix: '' }
  printProgress(`${demoName(demo.id)} runs and no topic prefix is given, so it is followed`)
  return { brokers: options.brokers ?? demo.brokers, security, topicPrefix: demo.topicPrefix }
}

/** Reads a list of brokers, such as 127.0.0.1:19092,[::1]:19092. */
export function brokersOption(text: string): readonly string[] {
  const brokers = text.split(',').map((broker) => broker.trim())
  if (brokers.every((broker) => /^([^\s:]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(broker)))
    return brokers
  throw new InvalidArgumentError('Give HOST:PORT, or several with commas between.')
}

/** A point in time, or an age at the start of the command. */
export type Moment = { readonly atMs: number } | { readonly agoMs: number }

/** Adds the options that select the stream. */
export function addPlaceOptions(command: Command): Command {
  return command
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

/** The same options for a command that prints one record per line. */
export function addStreamOptions(command: Command): Command {
  return addPlaceOptions(command).option('--json', 'print one line of JSON each')
}

/** Reads a time or a duration. */
export function momentOption(text: string): Moment {
  const agoMs = parseDurationMs(text)
  if (agoMs !== null) return { agoMs }
  const atMs = parseEventTimeMs(text)
  if (atMs !== null) return { atMs }
  throw new InvalidArgumentError(
    'Give a time such as 2026-01-31 or 2026-01-31T08:00Z, or how long ago, such as 90s, 2h or 7d.',
  )
}

/** Milliseconds UTC; null for none. */
export function timeOf(moment: Moment | undefined, nowMs: number): number | null {
  if (moment === undefined) return null
  return 'atMs' in moment ? moment.atMs : nowMs - moment.agoMs
}
