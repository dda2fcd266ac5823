// Configuration that the services acting on alerts share, read from the environment.

import { EnvReader } from '../platform/config/env-reader.ts'
import { type KafkaConnection, loadKafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'

/** Connection to the alerts. */
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

export interface ServiceConfig extends KafkaConnection {
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly schemaRegistryUrl: string | null
  readonly metrics: { readonly host: string; readonly port: number }
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** Problems are collected in `read`. */
export function loadServiceConfig(read: EnvReader): ServiceConfig {
  return {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
  }
}
