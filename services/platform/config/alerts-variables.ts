// Variables of the services that act on alerts: enforcer, receipts, queue and labels.

import type { Variable } from './variable.ts'

const ACTING = { group: 'Acting on alerts' } as const

export const ALERTS_VARIABLES = {
  SLUICE_SUBSCRIBER: {
    ...ACTING,
    readBy: 'enforce',
    meaning:
      'Name of this subscriber in its receipts. Also part of its consumer group: each subscriber has a name of its own.',
    kind: 'text',
    form: 'text',
    default: 'enforcer',
  },
  SLUICE_ENFORCER_HOST: {
    ...ACTING,
    readBy: 'enforce',
    meaning: 'Address on which `POST /authorise` is answered.',
    kind: 'text',
    form: 'host',
    default: '127.0.0.1',
  },
  SLUICE_ENFORCER_PORT: {
    ...ACTING,
    readBy: 'enforce',
    meaning: 'Its port; 0 takes a free one, and the log says which.',
    kind: 'integer',
    default: 9_480,
    min: 0,
    max: 65_535,
  },
  SLUICE_ENFORCER_TOKEN: {
    ...ACTING,
    readBy: 'enforce',
    meaning: 'Bearer token of those who may ask the enforcer, 16 characters or more.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_ENFORCER_TOKEN_FILE: {
    ...ACTING,
    readBy: 'enforce',
    meaning: 'File that holds the token, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_NEVER_BLOCK_FILE: {
    ...ACTING,
    readBy: 'enforce',
    meaning:
      'File with card tokens, one a line, that this enforcer never blocks: it answers their blocks with `refused`.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_RECEIPT_KEY: {
    ...ACTING,
    readBy: 'enforce',
    meaning:
      'Key that signs receipts, `whsec_` and 24 to 64 bytes in base64. Without it they are not signed.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_RECEIPT_KEY_FILE: {
    ...ACTING,
    readBy: 'enforce',
    meaning: 'File that holds the key, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_HTTP_REQUESTS_PER_SECOND_MAX: {
    ...ACTING,
    readBy: 'enforce, cases',
    meaning: 'Requests a second that one process answers; more get 429.',
    kind: 'integer',
    default: 1_000,
    min: 1,
    max: 100_000,
  },
  SLUICE_BLOCK_OBJECTIVE_MS: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'Within how long a block should be applied, from the record of its transaction to the receipt, in ms; 99 % should be.',
    kind: 'integer',
    default: 1_000,
    min: 1,
    max: 600_000,
  },
  SLUICE_RECEIPT_WAIT_MS: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'How long a block may be without receipt before that is told, in ms from its decision.',
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 1_800_000,
  },
  SLUICE_RECEIPT_MISSING: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'What becomes of a block without receipt. `lapse`: it is told, no more. `resend`: it also goes to the topic `alerts-resent`, up to three times, as long as its lease runs.',
    kind: 'choice',
    words: ['lapse', 'resend'],
    default: 'lapse',
  },
  SLUICE_RECEIPT_HORIZON_MS: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'How long alerts are remembered for their receipts, in ms. Later receipts are of unknown alerts.',
    kind: 'integer',
    default: 3_600_000,
    // Longer than any block waits.
    min: 3_600_000,
    max: 604_800_000,
  },
  SLUICE_RECEIPT_SUBSCRIBERS: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'Names of the subscribers that must answer each block, with commas between; receipts of others are refused. Without it, one receipt of anybody will do.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_RECEIPT_KEYS_FILE: {
    ...ACTING,
    readBy: 'receipts',
    meaning:
      'File with a subscriber and its key on each line, two lines while a key is changed. With it, receipts that their subscriber has not signed are refused.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_CASES_HOST: {
    ...ACTING,
    readBy: 'cases',
    meaning: 'Address on which `GET /queue` and `POST /labels` are answered.',
    kind: 'text',
    form: 'host',
    default: '127.0.0.1',
  },
  SLUICE_CASES_PORT: {
    ...ACTING,
    readBy: 'cases',
    meaning: 'Its port; 0 takes a free one, and the log says which.',
    kind: 'integer',
    default: 9_481,
    min: 0,
    max: 65_535,
  },
  SLUICE_CASES_TOKENS: {
    ...ACTING,
    readBy: 'cases',
    meaning:
      'Bearer tokens of those who may look at the queue and label: `name:token`, with commas between, tokens of 16 characters or more. The name is recorded as the author of what the token writes.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_CASES_TOKENS_FILE: {
    ...ACTING,
    readBy: 'cases',
    meaning: 'File that holds them, one `name:token` a line, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_CASES_READ_TOKEN: {
    ...ACTING,
    readBy: 'cases',
    meaning: 'Bearer token of those who may look at the queue and not label.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_CASES_READ_TOKEN_FILE: {
    ...ACTING,
    readBy: 'cases',
    meaning: 'File that holds the token, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_QUEUE_HORIZON_MS: {
    ...ACTING,
    readBy: 'cases, queue, label',
    meaning: 'How long an alert that nobody has labelled stays in the queue, in ms.',
    kind: 'integer',
    default: 604_800_000,
    min: 60_000,
    max: 5_184_000_000,
  },
  SLUICE_CASE_CARD_MS: {
    ...ACTING,
    readBy: 'cases, queue',
    meaning:
      'Alerts of one card are one case as long as no two neighbours are further apart in event time than this, in ms.',
    kind: 'integer',
    default: 86_400_000,
    min: 1,
    max: 5_184_000_000,
  },
  SLUICE_CASE_TERMINAL_MS: {
    ...ACTING,
    readBy: 'cases, queue',
    meaning:
      'A terminal is taken for compromised when within this time, in ms of event time, enough cards have alerts at it.',
    kind: 'integer',
    default: 86_400_000,
    min: 1,
    max: 5_184_000_000,
  },
  SLUICE_CASE_TERMINAL_CARDS_MIN: {
    ...ACTING,
    readBy: 'cases, queue',
    meaning: 'How many different cards are enough for that.',
    kind: 'integer',
    default: 3,
    min: 2,
    max: 10_000,
  },
} as const satisfies Readonly<Record<string, Variable>>
