// Turns failures of the Kafka client into errors with a remedy. The client reports "Closed connection" for most
// refusals of a broker before the login. In that case the broker's port is probed for its protocol, so that the error
// can distinguish missing TLS from a missing login.

import { SluiceError } from '../../core/errors.ts'
import { probePort, type PortProbe } from '../probe-port.ts'
import { causesOf, tlsProblem } from '../tls-failure.ts'
import type { KafkaConnection } from './kafka-connection.ts'

/** ApiVersions, version 0, correlation id 0, no client id: every broker answers it before any login. */
const GREETING = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0, 0xff, 0xff])

const VARIABLES = {
  ca: 'SLUICE_KAFKA_TLS_CA_FILE',
  cert: 'SLUICE_KAFKA_TLS_CERT_FILE',
  off: 'unset SLUICE_KAFKA_TLS',
} as const

const RIGHTS: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: 'a topic',
  GROUP_AUTHORIZATION_FAILED: 'a consumer group',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'a transactional id',
  CLUSTER_AUTHORIZATION_FAILED: 'the cluster',
  // The client reports the first topic of a transaction that has any error; topics with all rights get this one.
  OPERATION_NOT_ATTEMPTED: 'one of the topics of a transaction',
}

/**
 * SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED when either is the cause of the error, however deep. Null for any other
 * cause, such as an absent broker.
 */
export function kafkaRefusal(error: unknown): SluiceError | null {
  for (const cause of causesOf(error)) {
    if (!(cause instanceof Error)) continue
    if (cause instanceof SluiceError) {
      if (cause.code === 'SLUICE_ACCESS_DENIED' || cause.code === 'SLUICE_TLS_FAILED') return cause
      continue
    }
    const problem = deniedBy(cause)
    if (problem !== null) {
      return new SluiceError('SLUICE_ACCESS_DENIED', `Kafka refuses us: ${problem}.`, {
        cause: error,
      })
    }
    const tls = tlsProblem(cause, VARIABLES)
    if (tls !== null) {
      return new SluiceError('SLUICE_TLS_FAILED', `No secure connection to Kafka: ${tls}.`, {
        cause: error,
      })
    }
  }
  return null
}

/** As `kafkaRefusal`. When the client only knows that the connection was closed, the brokers' ports are probed. */
export async function explainKafka(
  connection: KafkaConnection,
  error: unknown,
): Promise<SluiceError | null> {
  const refusal = kafkaRefusal(error)
  if (refusal !== null) return refusal
  const wasClosed = causesOf(error).some(
    (cause) => cause instanceof Error && /Closed connection|ECONNRESET|EPIPE/.test(cause.message),
  )
  if (!wasClosed) return null
  const { tls = null, sasl = null } = connection.security ?? {}
  const at = `Kafka at ${connection.brokers.join(',')}`
  if (tls === null) {
    const probe = await probeOf(connection.brokers[0] ?? '')
    if (probe === 'tls') {
      return new SluiceError(
        'SLUICE_TLS_FAILED',
        `${at} speaks TLS only; set SLUICE_KAFKA_TLS=true, and ${VARIABLES.ca} for an authority of your own.`,
        { cause: error },
      )
    }
    if (probe === 'nothing') return null
  }
  if (sasl !== null) return null
  return new SluiceError(
    'SLUICE_ACCESS_DENIED',
    `${at} closes the connection after the greeting, as a broker does that asks for a login or a certificate; ` +
      'set SLUICE_KAFKA_SASL_MECHANISM with user and password, or SLUICE_KAFKA_TLS_CERT_FILE with its key.',
    { cause: error },
  )
}

/** Converts the client's error when it has given up on the brokers; null for other errors. */
export function kafkaAway({ brokers }: KafkaConnection, error: unknown): SluiceError | null {
  if (!(error instanceof Error) || !error.name.startsWith('KafkaJS')) return null
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    `Kafka at ${brokers.join(',')} does not answer (${error.message}); check SLUICE_KAFKA_BROKERS and that it ` +
      'runs, or start one with "sluice up".',
    { cause: error },
  )
}

/** The result of `explainKafka`, or else SLUICE_BROKER_UNAVAILABLE. For readers of topics. */
export async function kafkaUnreadable(
  connection: KafkaConnection,
  cause: unknown,
): Promise<SluiceError> {
  const refusal = await explainKafka(connection, cause)
  if (refusal !== null) return refusal
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    `Kafka at ${connection.brokers.join(',')} cannot be read (${problem}); start it with "sluice up", or give its ` +
      'address in SLUICE_KAFKA_BROKERS.',
    { cause },
  )
}

function deniedBy(error: Error): string | null {
  if (error.name === 'KafkaJSSASLAuthenticationError') {
    return /not supported by the server/.test(error.message)
      ? 'it does not offer this kind of login; change SLUICE_KAFKA_SASL_MECHANISM'
      : 'user or password are not accepted; check SLUICE_KAFKA_SASL_USERNAME and the password'
  }
  const type = 'type' in error && typeof error.type === 'string' ? error.type : ''
  if (type === 'ILLEGAL_SASL_STATE' || type === 'UNSUPPORTED_SASL_MECHANISM') {
    return 'it takes no such login at this address; use another port, or change SLUICE_KAFKA_SASL_MECHANISM'
  }
  const what = RIGHTS[type]
  if (what === undefined) return null
  return `the right to ${what} is missing (${type}${resourceOf(error)}); grant what docs/security.md lists for this role`
}

function resourceOf(error: Error): string {
  const { topic, groupId } = error as { readonly topic?: unknown; readonly groupId?: unknown }
  const name = typeof topic === 'string' ? topic : typeof groupId === 'string' ? groupId : null
  return name === null ? '' : ` on ${name}`
}

function probeOf(broker: string): Promise<PortProbe> {
  const colon = broker.lastIndexOf(':')
  return probePort(broker.slice(0, colon), Number(broker.slice(colon + 1)), GREETING)
}
