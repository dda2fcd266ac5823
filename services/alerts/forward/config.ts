// Environment variables of the forwarder, in addition to its targets file, and the secrets that the file refers to.

import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { loadKafkaConnection, type KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../../platform/log.ts'
import { parseTargets, type ReadSecret, type Target } from './targets-file.ts'

const SECRET_BYTES_MAX = 4_096
const TARGETS_BYTES_MAX = 1_048_576

type Environment = Readonly<Record<string, string | undefined>>

export interface ForwardConfig extends KafkaConnection {
  /** Null when none is given; then topics have no prefix. */
  readonly topicPrefix: string | null
  /** Null for the schema files of this installation. */
  readonly schemaRegistryUrl: string | null
  readonly metrics: { readonly host: string; readonly port: number }
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadForwardConfig(env: Environment): ForwardConfig {
  const read = new EnvReader(env)
  const config: ForwardConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX'),
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}

/**
 * Reads a targets file with the secrets that it names; paths in it are relative to its folder.
 * @throws SluiceError SLUICE_CONFIG_INVALID with every fault and its line.
 */
export function loadTargets(path: string, env: Environment): readonly Target[] {
  const read = readBounded(path, TARGETS_BYTES_MAX)
  if ('why' in read) {
    throw new SluiceError('SLUICE_CONFIG_INVALID', `The targets file "${path}" ${read.why}.`)
  }
  return parseTargets(read.text, path, secretReader(dirname(resolve(path)), env))
}

function secretReader(folder: string, env: Environment): ReadSecret {
  return ({ kind, name }) => {
    if (kind === 'env') {
      const text = env[name]
      return text === undefined || text === '' ? { why: 'is not set' } : { text }
    }
    const read = readBounded(resolve(folder, name), SECRET_BYTES_MAX)
    // The trailing line end that editors add is removed.
    return 'why' in read ? read : { text: read.text.replace(/\r?\n$/, '') }
  }
}

function readBounded(
  path: string,
  bytesMax: number,
): { readonly text: string } | { readonly why: string } {
  try {
    if (statSync(path).size > bytesMax) return { why: `has more than ${bytesMax} bytes` }
    return { text: readFileSync(path, 'utf8') }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return { why: `cannot be read (${code})` }
  }
}
