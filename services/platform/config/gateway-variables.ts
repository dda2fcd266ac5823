// Variables of the gateway, which answers authorisation systems.

import type { Variable } from './variable.ts'

const GATEWAY = { group: 'Answers in time' } as const

export const GATEWAY_VARIABLES = {
  SLUICE_GATEWAY_HOST: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Address on which `POST /v1/score` is answered.',
    kind: 'text',
    form: 'host',
    default: '127.0.0.1',
  },
  SLUICE_GATEWAY_PORT: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Its port; 0 takes a free one, and the log says which.',
    kind: 'integer',
    default: 9_482,
    min: 0,
    max: 65_535,
  },
  SLUICE_GATEWAY_TOKENS: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      "Bearer tokens of the gateway's callers: comma-separated `name:token`, tokens of at least 16 characters.",
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_GATEWAY_TOKENS_FILE: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'File that holds them, one `name:token` on each line, instead of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_GATEWAY_TLS_CERT_FILE: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      "PEM file of the gateway's certificate with its chain. With it, the port speaks TLS only.",
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_GATEWAY_TLS_KEY_FILE: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'PEM file of its key, without a pass phrase.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_GATEWAY_TLS_CLIENT_CA_FILE: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'PEM file of the authorities that sign the certificates of callers. With it, a caller without such a certificate is refused.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_GATEWAY_DEADLINE_MS: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Time in which `POST /v1/score` is answered, in ms, unless the request names another. After it the fallback is answered.',
    kind: 'integer',
    default: 80,
    min: 1,
    max: 10_000,
  },
  SLUICE_GATEWAY_DEADLINE_MS_MAX: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Longest deadline that a request may name, in ms.',
    kind: 'integer',
    default: 2_000,
    min: 1,
    max: 10_000,
  },
  SLUICE_GATEWAY_BATCH_DEADLINE_MS: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Deadline of `POST /v1/score/batch`, in ms; also the longest that such a request may name.',
    kind: 'integer',
    default: 5_000,
    min: 1,
    max: 30_000,
  },
  SLUICE_GATEWAY_FALLBACK_OUTCOME: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Outcome that is answered, and marked, when no decision came in time.',
    kind: 'choice',
    words: ['approve', 'flag', 'block'],
    default: 'approve',
  },
  SLUICE_GATEWAY_IN_FLIGHT_MAX: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Maximum number of transactions that wait for their decisions in one gateway; further requests get 429.',
    kind: 'integer',
    default: 2_000,
    min: 1,
    max: 100_000,
  },
  SLUICE_GATEWAY_REQUESTS_PER_SECOND_MAX: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Maximum number of requests a second of each holder of a token in one gateway; further ones get 429.',
    kind: 'integer',
    default: 5_000,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_GATEWAY_REPEAT_MS: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Time for which a decision is remembered, in ms, so that a repeated request gets the same answer. A gateway that starts reads decisions of this time back.',
    kind: 'integer',
    default: 600_000,
    min: 1_000,
    max: 86_400_000,
  },
  SLUICE_GATEWAY_REPEAT_COUNT_MAX: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Maximum number of decisions remembered; the oldest are forgotten first.',
    kind: 'integer',
    default: 250_000,
    min: 1_000,
    max: 10_000_000,
  },
  SLUICE_GATEWAY_REPEAT_MIB_MAX: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning: 'Maximum memory of remembered decisions, estimated, in MiB.',
    kind: 'integer',
    default: 256,
    min: 1,
    max: 16_384,
  },
  SLUICE_GATEWAY_DRAIN_MS: {
    ...GATEWAY,
    readBy: 'gateway',
    meaning:
      'Time from SIGTERM, when `/readyz` fails, until the port closes, in ms; requests are answered meanwhile.',
    kind: 'integer',
    default: 3_000,
    min: 0,
    max: 60_000,
  },
} as const satisfies Readonly<Record<string, Variable>>
