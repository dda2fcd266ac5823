// What the producer reads from the environment; options of the command line win over it.

import { EnvReader } from '../platform/config/env-reader.ts'

export interface ProducerConfig {
  readonly brokers: readonly string[]
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly registryUrl: string | null
  readonly metricsHost: string
}

/** Where "sluice up" starts Kafka. */
const BROKERS_DEFAULT = ['127.0.0.1:19092']

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadProducerConfig(
  env: Readonly<Record<string, string | undefined>>,
): ProducerConfig {
  const read = new EnvReader(env)
  const config: ProducerConfig = {
    brokers: read.list('SLUICE_KAFKA_BROKERS', { default: BROKERS_DEFAULT }),
    topicPrefix: read.optionalString('SLUICE_TOPIC_PREFIX') ?? '',
    registryUrl: read.optionalString('SLUICE_SCHEMA_REGISTRY_URL'),
    metricsHost: read.string('SLUICE_METRICS_HOST', { default: '127.0.0.1' }),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
