// Variables of the connections to Kafka and Redis, and of running processes.

import type { Variable } from './variable.ts'

const CONNECTION = { group: 'Addresses of Kafka and Redis' } as const
const IDENTITY = { group: 'TLS and login' } as const

export const CONNECTION_VARIABLES = {
  SLUICE_KAFKA_BROKERS: {
    ...CONNECTION,
    readBy: 'all',
    meaning: 'Addresses of Kafka brokers, `host:port`. When set, Sluice does not start Kafka.',
    kind: 'list',
    default: ['127.0.0.1:19092'],
  },
  SLUICE_REDIS_URL: {
    ...CONNECTION,
    readBy: 'scorer, up, demo',
    meaning: 'Address of Redis, `redis://` or `rediss://`. When set, Sluice does not start Redis.',
    kind: 'text',
    form: 'URL',
    default: 'redis://127.0.0.1:16379',
  },
  SLUICE_STACK_PROVIDER: {
    ...CONNECTION,
    readBy: 'up, demo, tests',
    meaning:
      'How servers without an address are started: by Docker Compose, as local processes, or by whichever works.',
    kind: 'choice',
    words: ['auto', 'compose', 'local'],
    default: 'auto',
  },
  SLUICE_KAFKA_PORT: {
    ...CONNECTION,
    readBy: 'docker-compose.yml',
    meaning: 'Port of Kafka on this machine under Compose. `sluice up` sets it to a free one.',
    kind: 'text',
    form: 'port',
    default: '19092',
  },
  SLUICE_REDIS_PORT: {
    ...CONNECTION,
    readBy: 'docker-compose.yml',
    meaning: 'Port of Redis on this machine under Compose. `sluice up` sets it to a free one.',
    kind: 'text',
    form: 'port',
    default: '16379',
  },
  SLUICE_KAFKA_TLS: {
    ...IDENTITY,
    readBy: 'all',
    meaning:
      'Whether connections to brokers use TLS. Their certificate and name are always verified.',
    kind: 'boolean',
    default: false,
  },
  SLUICE_KAFKA_TLS_CA_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning:
      "PEM file of the authorities that sign the brokers' certificates, instead of the system's.",
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_KAFKA_TLS_CERT_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'PEM file of the client certificate with its chain, if brokers require one.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_KAFKA_TLS_KEY_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'PEM file of its key, without a pass phrase.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_KAFKA_SASL_MECHANISM: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'How Sluice logs in to the brokers. Without TLS, it logs a warning.',
    kind: 'choice',
    words: ['none', 'plain', 'scram-sha-256', 'scram-sha-512'],
    default: 'none',
  },
  SLUICE_KAFKA_SASL_USERNAME: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'User of that login.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_KAFKA_SASL_PASSWORD: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'Its password.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_KAFKA_SASL_PASSWORD_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'File that holds the password, instead of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_USERNAME: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'User of the login to Redis (ACL). May be in the URL instead.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_REDIS_PASSWORD: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'Its password. May be in the URL instead.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_REDIS_PASSWORD_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'File that holds the password, instead of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_TLS_CA_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: "PEM file of the authorities that sign Redis's certificate, instead of the system's.",
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_TLS_CERT_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'PEM file of the client certificate with its chain, if Redis requires one.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_TLS_KEY_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'PEM file of its key, without a pass phrase.',
    kind: 'text',
    form: 'path',
    default: null,
  },
} as const satisfies Readonly<Record<string, Variable>>

const OPERATION = { group: 'Operation' } as const
const TESTS = { group: 'Tests only' } as const

export const OPERATION_VARIABLES = {
  SLUICE_KAFKA_CLIENT: {
    ...OPERATION,
    readBy: 'scorer',
    meaning:
      'Client that reads and writes the log: `native` (one transaction for a process), or `kafkajs` (one for each partition; slower, with the limits of docs/kafka.md).',
    kind: 'choice',
    words: ['native', 'kafkajs'],
    default: 'native',
  },
  SLUICE_SESSION_TIMEOUT_MS: {
    ...OPERATION,
    readBy: 'scorer, bridge',
    meaning:
      'Time without heartbeat after which a scorer loses its partitions, in ms. The broker has its own limits.',
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
    readBy: 'scorer, bridge, skew, lake, enforce, receipts, cases, gateway, forwarder, policy',
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
    readBy: 'lake, policy, label',
    meaning: 'Folder of the lake (docs/lake.md).',
    kind: 'text',
    form: 'path',
    default: 'lake',
  },
  SLUICE_DEAD_LETTER_HMAC_KEY: {
    ...OPERATION,
    readBy: 'scorer, bridge, receipts',
    meaning:
      'Secret key of the payload hash in dead letters. The default is for development: the log warns, and it is refused if Kafka has TLS or a login.',
    kind: 'text',
    form: 'secret',
    default: 'sluice-development',
  },
  SLUICE_DEAD_LETTER_HMAC_KEY_FILE: {
    ...OPERATION,
    readBy: 'scorer, bridge, receipts',
    meaning: 'File that holds the key, instead of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_LOG_LEVEL: {
    ...OPERATION,
    readBy: 'scorer, bridge, skew, enforce, receipts, cases, gateway, forwarder',
    meaning: 'Minimum level of log lines, which go to standard error.',
    kind: 'choice',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
  },
  SLUICE_LOG_FORMAT: {
    ...OPERATION,
    readBy: 'scorer, bridge, skew, enforce, receipts, cases, gateway, forwarder',
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
      'Share of traces that are recorded although their senders do not record them, and of batches without a recorded message.',
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
