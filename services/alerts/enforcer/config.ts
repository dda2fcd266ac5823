// Configuration of the reference enforcer: environment variables to one frozen, checked object.

import { readFileSync, statSync } from 'node:fs'
import { EnvReader } from '../../platform/config/env-reader.ts'
import type { Secret } from '../../platform/config/secrets.ts'
import { readToken } from '../../platform/http/bearer-tokens.ts'
import { readReceiptKey } from '../receipts/receipt-signature.ts'
import { loadServiceConfig, type ServiceConfig } from '../service-config.ts'

const NEVER_BLOCK_BYTES_MAX = 4 * 1024 * 1024
const SUBSCRIBER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export interface EnforcerConfig extends ServiceConfig {
  readonly subscriber: string
  readonly http: { readonly host: string; readonly port: number }
  readonly token: Secret
  /** Key that signs receipts; null leaves them unsigned. */
  readonly receiptKey: Secret | null
  readonly requestsPerSecondMax: number
  /** Card tokens that are never blocked here. */
  readonly neverBlocked: ReadonlySet<string>
  /** Equals the scorer's setting: no lease outlives its alert by more. */
  readonly leaseMs: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadEnforcerConfig(
  env: Readonly<Record<string, string | undefined>>,
): EnforcerConfig {
  const read = new EnvReader(env)
  const token = readToken(read, 'SLUICE_ENFORCER_TOKEN', 'SLUICE_ENFORCER_TOKEN_FILE')
  read.check(
    read.isSet('SLUICE_ENFORCER_TOKEN') || read.isSet('SLUICE_ENFORCER_TOKEN_FILE'),
    'SLUICE_ENFORCER_TOKEN or SLUICE_ENFORCER_TOKEN_FILE is needed: nobody may ask without a token.',
  )
  const subscriber = read.value('SLUICE_SUBSCRIBER')
  read.check(
    SUBSCRIBER.test(subscriber),
    `SLUICE_SUBSCRIBER="${subscriber}" is no name; use up to 64 letters, digits, dots, dashes and underscores.`,
  )
  const config = {
    ...loadServiceConfig(read),
    subscriber,
    http: { host: read.value('SLUICE_ENFORCER_HOST'), port: read.value('SLUICE_ENFORCER_PORT') },
    receiptKey: readReceiptKey(read),
    requestsPerSecondMax: read.value('SLUICE_HTTP_REQUESTS_PER_SECOND_MAX'),
    neverBlocked: readCards(read),
    leaseMs: read.value('SLUICE_LEASE_MS'),
  }
  read.throwIfInvalid()
  if (token === null) throw new Error('A configuration without token was not refused.')
  return Object.freeze({ ...config, token })
}

function readCards(read: EnvReader): ReadonlySet<string> {
  const path = read.textIfSet('SLUICE_NEVER_BLOCK_FILE')
  if (path === null) return new Set()
  try {
    const { size } = statSync(path)
    read.check(
      size <= NEVER_BLOCK_BYTES_MAX,
      `SLUICE_NEVER_BLOCK_FILE="${path}" has more than ${NEVER_BLOCK_BYTES_MAX} bytes; is it that file?`,
    )
    if (size > NEVER_BLOCK_BYTES_MAX) return new Set()
    const lines = readFileSync(path, 'utf8').split('\n')
    return new Set(lines.map((line) => line.trim()).filter((line) => line !== ''))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    read.check(
      false,
      `SLUICE_NEVER_BLOCK_FILE="${path}" cannot be read (${code}); correct the path or its rights.`,
    )
    return new Set()
  }
}
