// Configuration of the lake's commands: environment variables to one checked, frozen object.

import { EnvReader } from '../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'

export interface LakeConfig extends KafkaConnection {
  /** Null when not given; topics then have no prefix. */
  readonly topicPrefix: string | null
  readonly schemaRegistryUrl: string | null
  /** Folder of the lake. */
  readonly folder: string
  readonly metrics: { readonly host: string; readonly port: number }
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadLakeConfig(env: Readonly<Record<string, string | undefined>>): LakeConfig {
  const read = new EnvReader(env)
  const config: LakeConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX'),
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    folder: read.value('SLUICE_LAKE_FOLDER'),
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
