// What the producer reads from the environment; options of the command line win over it.

import { EnvReader } from '../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'

export interface ProducerConfig extends KafkaConnection {
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly registryUrl: string | null
  readonly metricsHost: string
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadProducerConfig(
  env: Readonly<Record<string, string | undefined>>,
): ProducerConfig {
  const read = new EnvReader(env)
  const config: ProducerConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    registryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metricsHost: read.value('SLUICE_METRICS_HOST'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
