// What the producer reads from the environment; options of the command line win over it.

import { EnvReader } from '../platform/config/env-reader.ts'

export interface ProducerConfig {
  readonly brokers: readonly string[]
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly registryUrl: string | null
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadProducerConfig(
  env: Readonly<Record<string, string | undefined>>,
): ProducerConfig {
  const read = new EnvReader(env)
  const config: ProducerConfig = {
    brokers: read.value('SLUICE_KAFKA_BROKERS'),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    registryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
