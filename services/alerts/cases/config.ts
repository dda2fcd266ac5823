// Configuration of the queue and the labels: environment variables to one frozen, checked object.

import type { CaseOptions } from '../../core/cases.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { readNamedTokens, readToken, type BearerToken } from '../../platform/http/bearer-tokens.ts'
import { loadServiceConfig, type ServiceConfig } from '../service-config.ts'

/** Settings of one read of the queue. */
export interface QueueConfig extends ServiceConfig {
  readonly horizonMs: number
  readonly cases: CaseOptions
}

/** Settings that the HTTP service needs in addition. */
export interface CasesConfig extends QueueConfig {
  readonly http: { readonly host: string; readonly port: number }
  readonly tokens: readonly BearerToken[]
  readonly requestsPerSecondMax: number
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadQueueConfig(env: Readonly<Record<string, string | undefined>>): QueueConfig {
  const read = new EnvReader(env)
  const config = queueConfig(read)
  read.throwIfInvalid()
  return Object.freeze(config)
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadCasesConfig(env: Readonly<Record<string, string | undefined>>): CasesConfig {
  const read = new EnvReader(env)
  const write = readNamedTokens(read, 'SLUICE_CASES_TOKENS', 'SLUICE_CASES_TOKENS_FILE')
  const look = readToken(read, 'SLUICE_CASES_READ_TOKEN', 'SLUICE_CASES_READ_TOKEN_FILE')
  read.check(
    read.isSet('SLUICE_CASES_TOKENS') || read.isSet('SLUICE_CASES_TOKENS_FILE'),
    'SLUICE_CASES_TOKENS or SLUICE_CASES_TOKENS_FILE is needed: nobody may label without a token.',
  )
  read.check(
    look === null || write.every(({ token }) => token.reveal() !== look.reveal()),
    'SLUICE_CASES_READ_TOKEN is also one of SLUICE_CASES_TOKENS; it must be another, which may not label.',
  )
  const tokens: BearerToken[] = write.map((held) => ({ ...held, right: 'write' }))
  if (look !== null) tokens.push({ name: null, token: look, right: 'read' })
  const config: CasesConfig = {
    ...queueConfig(read),
    http: { host: read.value('SLUICE_CASES_HOST'), port: read.value('SLUICE_CASES_PORT') },
    tokens,
    requestsPerSecondMax: read.value('SLUICE_HTTP_REQUESTS_PER_SECOND_MAX'),
  }
  read.throwIfInvalid()
  return Object.freeze(config)
}

function queueConfig(read: EnvReader): QueueConfig {
  return {
    ...loadServiceConfig(read),
    horizonMs: read.value('SLUICE_QUEUE_HORIZON_MS'),
    cases: {
      cardMs: read.value('SLUICE_CASE_CARD_MS'),
      terminalMs: read.value('SLUICE_CASE_TERMINAL_MS'),
      terminalCardsMin: read.value('SLUICE_CASE_TERMINAL_CARDS_MIN'),
    },
  }
}
