// Configuration of the skew meter: environment variables to one checked, frozen object.

import { EnvReader } from '../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'

export interface SkewConfig extends KafkaConnection {
  readonly topicPrefix: string
  readonly schemaRegistryUrl: string | null
  /** Share of cards, and of entities, to recompute; above 0, at most 1. */
  readonly sample: number
  /** Must equal the scorer's setting. */
  readonly eventAheadMsMax: number
  readonly metrics: { readonly host: string; readonly port: number }
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadSkewConfig(env: Readonly<Record<string, string | undefined>>): SkewConfig {
  const read = new EnvReader(env)
  const config: SkewConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    sample: read.value('SLUICE_SKEW_SAMPLE'),
    eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX'),
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
