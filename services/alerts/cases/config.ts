// Configuration of the queue and the labels: environment variables to one frozen, checked object.

import type { CaseOptions } from '../../core/cases.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { readToken, type BearerToken } from '../../platform/http/bearer-tokens.ts'
import { loadServiceConfig, type ServiceConfig } from '../service-config.ts'

/** What a look at the queue needs. */
export interface QueueConfig extends ServiceConfig {
  readonly horizonMs: number
  readonly cases: CaseOptions
}

/** What the HTTP service needs beside it. */
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
  const write = readToken(read, 'SLUICE_CASES_TOKEN', 'SLUICE_CASES_TOKEN_FILE')
  const look = readToken(read, 'SLUICE_CASES_READ_TOKEN', 'SLUICE_CASES_READ_TOKEN_FILE')
  read.check(
    read.isSet('SLUICE_CASES_TOKEN') || read.isSet('SLUICE_CASES_TOKEN_FILE'),
    'SLUICE_CASES_TOKEN or SLUICE_CASES_TOKEN_FILE is needed: nobody may label without a token.',
  )
  read.check(
    write === null || look === null || write.reveal() !== look.reveal(),
    'SLUICE_CASES_TOKEN and SLUICE_CASES_READ_TOKEN are the same; the second one may not label.',
  )
  const tokens = [
    ...(write === null ? [] : [{ token: write, right: 'write' as const }]),
    ...(look === null ? [] : [{ token: look, right: 'read' as const }]),
  ]
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
