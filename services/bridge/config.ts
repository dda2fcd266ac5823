// Configuration of the bridge: environment variables to one frozen, checked object.

import type { TokenKey } from '../core/mapping/card-tokens.ts'
import { EnvReader } from '../platform/config/env-reader.ts'
import { readDeadLetterKey } from '../platform/config/secrets.ts'
import { type KafkaConnection, loadKafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'
import { readTokenKeys } from './token-keys.ts'

export interface BridgeConfig extends KafkaConnection {
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly schemaRegistryUrl: string | null
  /** File of the mapping; null when the command names it. */
  readonly mappingFile: string | null
  /** The team's schema registry; null for none. */
  readonly sourceRegistryUrl: string | null
  /** Oldest first; empty without any. */
  readonly tokenKeys: readonly TokenKey[]
  readonly groupInstanceId: string | null
  readonly sessionTimeoutMs: number
  readonly deadLetterHmacKey: string
  /** True when the key is the development key of this source. */
  readonly hasBuiltInHmacKey: boolean
  readonly metrics: { readonly host: string; readonly port: number }
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadBridgeConfig(env: Readonly<Record<string, string | undefined>>): BridgeConfig {
  const read = new EnvReader(env)
  const kafka = loadKafkaConnection(read)
  const deadLetter = readDeadLetterKey(read, kafka.security !== undefined)
  const config: BridgeConfig = {
    ...kafka,
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    mappingFile: read.value('SLUICE_BRIDGE_MAPPING'),
    sourceRegistryUrl: read.value('SLUICE_BRIDGE_REGISTRY_URL'),
    tokenKeys: readTokenKeys(read),
    groupInstanceId: read.value('SLUICE_GROUP_INSTANCE_ID'),
    sessionTimeoutMs: read.value('SLUICE_SESSION_TIMEOUT_MS'),
    deadLetterHmacKey: deadLetter.key,
    hasBuiltInHmacKey: deadLetter.isBuiltIn,
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}
