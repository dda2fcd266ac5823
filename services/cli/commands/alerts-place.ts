// Which stream a command looks at.

import type { AlertsConfig } from '../../alerts/index.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { stackPaths } from '../../../tools/servers/stack-record.ts'
import { printProgress, repositoryRoot } from '../command.ts'
import { demoName, readLivingDemos } from '../../../tools/demo/demo-record.ts'

/** Brokers and prefix of the options, else of the environment, else of a running demo, which is said. */
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
