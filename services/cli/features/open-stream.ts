// Where the stream is whose decisions are looked at, and how to read it.

import { loadAlertsConfig } from '../../alerts/index.ts'
import { type Codecs, createCodecs } from '../../core/wire/codecs.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { whereToLook } from '../commands/alerts-place.ts'

export interface StreamOptions {
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly json?: boolean
}

export interface DecidedStream extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
}

/** @throws SluiceError SLUICE_CONFIG_INVALID, or what a schema registry throws. */
export async function openStream(options: StreamOptions): Promise<DecidedStream> {
  const config = loadAlertsConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  return { brokers, security, topicPrefix, codecs: createCodecs(content) }
}
