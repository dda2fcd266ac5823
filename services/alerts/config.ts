// What the alerts subscriber reads from the environment; options of the command line win over it.

import { EnvReader } from '../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'

/** Where the alerts come from. */
export interface AlertsConfig extends KafkaConnection {
  /** Null when none is given; then topics have no prefix. */
  readonly topicPrefix: string | null
  /** Null for the schema files of this installation. */
  readonly schemaRegistryUrl: string | null
  readonly metricsHost: string
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadAlertsConfig(env: Readonly<Record<string, string | undefined>>): AlertsConfig {
  const read = new EnvReader(env)
  const config: AlertsConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX'),
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metricsHost: read.value('SLUICE_METRICS_HOST'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
