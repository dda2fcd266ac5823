// What the alerts subscriber reads from the environment; options of the command line win over it.

import { EnvReader } from '../platform/config/env-reader.ts'

/** Where the alerts come from. */
export interface AlertsConfig {
  readonly brokers: readonly string[]
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
    brokers: read.list('SLUICE_KAFKA_BROKERS', { default: ['127.0.0.1:19092'] }),
    topicPrefix: read.optionalString('SLUICE_TOPIC_PREFIX'),
    schemaRegistryUrl: read.optionalString('SLUICE_SCHEMA_REGISTRY_URL'),
    metricsHost: read.string('SLUICE_METRICS_HOST', { default: '127.0.0.1' }),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
