// Configuration of the gateway: environment variables to one frozen, checked object.

import type { Outcome } from '../core/wire/records.ts'
import { EnvReader } from '../platform/config/env-reader.ts'
import { readTlsFiles, type Secret } from '../platform/config/secrets.ts'
import { type BearerToken, readNamedTokens } from '../platform/http/bearer-tokens.ts'
import { type KafkaConnection, loadKafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'

/** A holder's token. */
export type NamedToken = BearerToken & { readonly name: string }

/** TLS of the gateway's own port. */
export interface ServerTls {
  readonly cert: string
  readonly key: Secret
  /** Authorities of the clients' certificates; null asks clients for none. */
  readonly clientCa: string | null
}

export interface GatewayConfig extends KafkaConnection {
  readonly topicPrefix: string
  /** Null for the schema files of this installation. */
  readonly schemaRegistryUrl: string | null
  readonly metrics: { readonly host: string; readonly port: number }
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly http: { readonly host: string; readonly port: number }
  /** Null for plain HTTP. */
  readonly tls: ServerTls | null
  readonly tokens: readonly NamedToken[]
  readonly deadlineMs: number
  readonly deadlineMsMax: number
  readonly batchDeadlineMs: number
  readonly fallbackOutcome: Outcome
  /** Transactions that wait for their decisions at a time. */
  readonly inFlightMax: number
  /** For each holder of a token. */
  readonly requestsPerSecondMax: number
  readonly repeatMs: number
  readonly repeatCountMax: number
  readonly repeatBytesMax: number
  /** Time between the failing of readiness and the closing of the port. */
  readonly drainMs: number
  readonly leaseMs: number
}

const MIB = 1024 * 1024

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadGatewayConfig(
  env: Readonly<Record<string, string | undefined>>,
): GatewayConfig {
  const read = new EnvReader(env)
  const tokens = readNamedTokens(read, 'SLUICE_GATEWAY_TOKENS', 'SLUICE_GATEWAY_TOKENS_FILE')
  read.check(
    read.isSet('SLUICE_GATEWAY_TOKENS') || read.isSet('SLUICE_GATEWAY_TOKENS_FILE'),
    'SLUICE_GATEWAY_TOKENS or SLUICE_GATEWAY_TOKENS_FILE is needed: nobody may ask without a token.',
  )
  const deadlineMs = read.value('SLUICE_GATEWAY_DEADLINE_MS')
  const config: GatewayConfig = {
    ...loadKafkaConnection(read),
    topicPrefix: read.value('SLUICE_TOPIC_PREFIX') ?? '',
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    metrics: { host: read.value('SLUICE_METRICS_HOST'), port: read.value('SLUICE_METRICS_PORT') },
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
    http: { host: read.value('SLUICE_GATEWAY_HOST'), port: read.value('SLUICE_GATEWAY_PORT') },
    tls: readServerTls(read),
    tokens: tokens.map((held) => ({ ...held, right: 'write' })),
    deadlineMs,
    // The default is always within the limit of requests.
    deadlineMsMax: Math.max(deadlineMs, read.value('SLUICE_GATEWAY_DEADLINE_MS_MAX')),
    batchDeadlineMs: read.value('SLUICE_GATEWAY_BATCH_DEADLINE_MS'),
    fallbackOutcome: read.value('SLUICE_GATEWAY_FALLBACK_OUTCOME'),
    inFlightMax: read.value('SLUICE_GATEWAY_IN_FLIGHT_MAX'),
    requestsPerSecondMax: read.value('SLUICE_GATEWAY_REQUESTS_PER_SECOND_MAX'),
    repeatMs: read.value('SLUICE_GATEWAY_REPEAT_MS'),
    repeatCountMax: read.value('SLUICE_GATEWAY_REPEAT_COUNT_MAX'),
    repeatBytesMax: read.value('SLUICE_GATEWAY_REPEAT_MIB_MAX') * MIB,
    drainMs: read.value('SLUICE_GATEWAY_DRAIN_MS'),
    leaseMs: read.value('SLUICE_LEASE_MS'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}

function readServerTls(read: EnvReader): ServerTls | null {
  const { ca, cert, key } = readTlsFiles(read, {
    ca: 'SLUICE_GATEWAY_TLS_CLIENT_CA_FILE',
    cert: 'SLUICE_GATEWAY_TLS_CERT_FILE',
    key: 'SLUICE_GATEWAY_TLS_KEY_FILE',
  })
  read.check(
    ca === null || cert !== null,
    'SLUICE_GATEWAY_TLS_CLIENT_CA_FILE is set without SLUICE_GATEWAY_TLS_CERT_FILE; clients show a certificate over TLS only.',
  )
  return cert === null || key === null ? null : { cert, key, clientCa: ca }
}
