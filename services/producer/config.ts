// Configuration of the producer from the environment, overridden by command-line options; and the durations that these
// options take.

import assert from 'node:assert/strict'
import { EnvReader } from '../platform/config/env-reader.ts'
import { type KafkaConnection, loadKafkaConnection } from '../platform/kafka/kafka-connection.ts'

export interface ProducerConfig extends KafkaConnection {
  readonly topicPrefix: string
  /** Null selects the schema files of this installation. */
  readonly registryUrl: string | null
  readonly metricsHost: string
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadProducerConfig(
  env: Readonly<Record<string, string | undefined>>,
): ProducerConfig {
  const read = new EnvReader(env)
  const config: ProducerConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    registryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metricsHost: read.value('SLUICE_METRICS_HOST'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Parses durations such as 500ms, 45s, 30m, 12h or 7d to milliseconds; null when the text is not a duration. */
export function parseDurationMs(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) return null
  const unitMs = UNITS_MS[match[2] ?? '']
  assert(unitMs !== undefined, 'The pattern accepts only these units.')
  return Math.round(Number(match[1]) * unitMs)
}
