// Variables of running processes, and those that only tests set.

import type { Variable } from './variable.ts'

const OPERATION = { group: 'Operation' } as const
const TESTS = { group: 'Tests only' } as const

export const OPERATION_VARIABLES = {
  SLUICE_SESSION_TIMEOUT_MS: {
    ...OPERATION,
    readBy: 'scorer',
    meaning:
      'After how long without heartbeat a scorer loses its partitions, in ms. The broker sets limits of its own.',
    kind: 'integer',
    default: 6_000,
    min: 1_000,
    max: 300_000,
  },
  SLUICE_METRICS_HOST: {
    ...OPERATION,
    readBy: 'all',
    meaning: 'Address on which `/metrics`, `/livez` and `/readyz` are served.',
    kind: 'text',
    form: 'host',
    default: '127.0.0.1',
  },
  SLUICE_METRICS_PORT: {
    ...OPERATION,
    readBy: 'scorer, skew, lake, enforce, receipts, cases, forwarder, policy',
    meaning: 'Their port. 0, or a port in use, takes a free one; the log says which.',
    kind: 'integer',
    default: 9_464,
    min: 0,
    max: 65_535,
  },
  SLUICE_SKEW_SAMPLE: {
    ...OPERATION,
    readBy: 'skew',
    meaning:
      'Share of cards, and of shared entities, whose decisions are recomputed from the log; 1 for all. Memory grows with it (docs/operations.md).',
    kind: 'number',
    default: 0.01,
    min: 0.000001,
    max: 1,
  },
  SLUICE_LAKE_FOLDER: {
    ...OPERATION,
    readBy: 'lake, policy',
    meaning: 'Folder of the lake (docs/lake.md).',
    kind: 'text',
    form: 'path',
    default: 'lake',
  },
  SLUICE_DEAD_LETTER_HMAC_KEY: {
    ...OPERATION,
    readBy: 'scorer, receipts',
    meaning:
      'Secret key of the payload hash in dead letters. The default is for development: the log warns, and it is refused where Kafka has TLS or a login.',
    kind: 'text',
    form: 'secret',
    default: 'sluice-development',
  },
  SLUICE_DEAD_LETTER_HMAC_KEY_FILE: {
    ...OPERATION,
    readBy: 'scorer, receipts',
    meaning: 'File that holds the key, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_LOG_LEVEL: {
    ...OPERATION,
    readBy: 'scorer, skew, enforce, receipts, cases, forwarder',
    meaning: 'Least severe log lines that are written, on standard error.',
    kind: 'choice',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
  },
  SLUICE_LOG_FORMAT: {
    ...OPERATION,
    readBy: 'scorer, skew, enforce, receipts, cases, forwarder',
    meaning:
      'JSON lines, or lines for people; `auto` is for people on a terminal and JSON elsewhere.',
    kind: 'choice',
    words: ['auto', 'json', 'pretty'],
    default: 'auto',
  },
  SLUICE_TRACING_ENDPOINT: {
    ...OPERATION,
    readBy: 'scorer',
    meaning:
      'Where spans are sent, as OTLP over HTTP; a URL without path gets `/v1/traces`. Without it, nothing is traced (docs/tracing.md).',
    kind: 'text',
    form: 'URL',
    default: null,
  },
  SLUICE_TRACING_SAMPLE_RATIO: {
    ...OPERATION,
    readBy: 'scorer',
    meaning:
      'Share of traces that is recorded although their senders do not record them, and of batches without a recorded message.',
    kind: 'number',
    default: 0.01,
    min: 0,
    max: 1,
  },
  SLUICE_FULL: {
    ...TESTS,
    readBy: 'tests',
    meaning: '`1` runs the long form of tests that have one (fuzzing, kill points).',
    kind: 'text',
    form: 'text',
    default: null,
  },
} as const satisfies Readonly<Record<string, Variable>>
