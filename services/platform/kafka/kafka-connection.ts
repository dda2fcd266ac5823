// Connection to Kafka: addresses, TLS and SASL, as every service and command reads them from the environment.

import type { EnvReader } from '../config/env-reader.ts'
import {
  hasTlsFiles,
  readSecret,
  readTlsFiles,
  type Secret,
  type TlsFiles,
} from '../config/secrets.ts'
import type { VariableValue } from '../config/variables.ts'

const USERNAME_CHARACTERS_MAX = 256

/** Authentication of both sides: the brokers' certificates, and our certificate or login. */
export interface KafkaSecurity {
  /** Null means no encryption. */
  readonly tls: TlsFiles | null
  /** Null means no login. A client certificate in `tls` then is our identity. */
  readonly sasl: {
    readonly mechanism: Exclude<VariableValue<'SLUICE_KAFKA_SASL_MECHANISM'>, 'none'>
    readonly username: string
    readonly password: Secret
  } | null
}

/** Everything needed to connect to a cluster. Without `security`: plain text and no login. */
export interface KafkaConnection {
  readonly brokers: readonly string[]
  readonly security?: KafkaSecurity | undefined
}

/** Reads SLUICE_KAFKA_*; problems are collected in `read`. */
export function loadKafkaConnection(read: EnvReader): KafkaConnection {
  const brokers = read.value('SLUICE_KAFKA_BROKERS')
  const isTls = read.value('SLUICE_KAFKA_TLS')
  const files = readTlsFiles(read, {
    ca: 'SLUICE_KAFKA_TLS_CA_FILE',
    cert: 'SLUICE_KAFKA_TLS_CERT_FILE',
    key: 'SLUICE_KAFKA_TLS_KEY_FILE',
  })
  read.check(
    isTls || !hasTlsFiles(files),
    'SLUICE_KAFKA_TLS_CA_FILE, SLUICE_KAFKA_TLS_CERT_FILE or SLUICE_KAFKA_TLS_KEY_FILE is set without ' +
      'SLUICE_KAFKA_TLS=true; set it, or unset them.',
  )
  const sasl = readSasl(read)
  const security = isTls || sasl !== null ? { tls: isTls ? files : null, sasl } : undefined
  return { brokers, ...(security === undefined ? {} : { security }) }
}

function readSasl(read: EnvReader): KafkaSecurity['sasl'] {
  const mechanism = read.value('SLUICE_KAFKA_SASL_MECHANISM')
  const username = read.textIfSet('SLUICE_KAFKA_SASL_USERNAME')
  const password = readSecret(read, 'SLUICE_KAFKA_SASL_PASSWORD', 'SLUICE_KAFKA_SASL_PASSWORD_FILE')
  read.check(
    (username?.length ?? 0) <= USERNAME_CHARACTERS_MAX,
    `SLUICE_KAFKA_SASL_USERNAME has more than ${USERNAME_CHARACTERS_MAX} characters; shorten it.`,
  )
  if (mechanism === 'none') {
    read.check(
      username === null && password === null,
      'SLUICE_KAFKA_SASL_USERNAME or a password is set without SLUICE_KAFKA_SASL_MECHANISM; say which one ' +
        'the brokers ask for.',
    )
    return null
  }
  read.check(
    username !== null,
    `SLUICE_KAFKA_SASL_MECHANISM="${mechanism}" needs SLUICE_KAFKA_SASL_USERNAME; set it.`,
  )
  read.check(
    password !== null,
    `SLUICE_KAFKA_SASL_MECHANISM="${mechanism}" needs SLUICE_KAFKA_SASL_PASSWORD or ` +
      'SLUICE_KAFKA_SASL_PASSWORD_FILE; set one.',
  )
  return username === null || password === null ? null : { mechanism, username, password }
}

/** True for a login without TLS: allowed, and worth a warning. */
export function sendsLoginInClear({ security }: KafkaConnection): boolean {
  return security !== undefined && security.sasl !== null && security.tls === null
}
