// What the services that act on alerts read alike from the environment.

import type { EnvReader } from '../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'

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
