// Variables that say where Kafka and Redis are and how to be let in.

import type { Variable } from './variable.ts'

const CONNECTION = { group: 'Where Kafka and Redis are' } as const
const IDENTITY = { group: 'Who we are to Kafka and Redis' } as const

export const CONNECTION_VARIABLES = {
  SLUICE_KAFKA_BROKERS: {
    ...CONNECTION,
    readBy: 'all',
    meaning:
      'Addresses of Kafka brokers, `host:port`. When set, Sluice starts no Kafka of its own.',
    kind: 'list',
    default: ['127.0.0.1:19092'],
  },
  SLUICE_REDIS_URL: {
    ...CONNECTION,
    readBy: 'scorer, up, demo',
    meaning:
      'Address of Redis, `redis://` or `rediss://`. When set, Sluice starts no Redis of its own.',
    kind: 'text',
    form: 'URL',
    default: 'redis://127.0.0.1:16379',
  },
  SLUICE_STACK_PROVIDER: {
    ...CONNECTION,
    readBy: 'up, demo, tests',
    meaning:
      'How servers that have no address are started: by Docker Compose, as local processes, or whichever works.',
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
      'Whether brokers are spoken to over TLS. Their certificate and name are always verified.',
    kind: 'boolean',
    default: false,
  },
  SLUICE_KAFKA_TLS_CA_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning: "PEM file of the authorities that vouch for the brokers, in place of the system's.",
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_KAFKA_TLS_CERT_FILE: {
    ...IDENTITY,
    readBy: 'all',
    meaning: 'PEM file of our own certificate with its chain, where brokers ask for one.',
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
    meaning: 'How Sluice logs in to the brokers. Without TLS, the log warns.',
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
    meaning: 'File that holds the password, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_USERNAME: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'User of the login to Redis (ACL). May stand in the URL instead.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_REDIS_PASSWORD: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'Its password. May stand in the URL instead.',
    kind: 'text',
    form: 'secret',
    default: null,
  },
  SLUICE_REDIS_PASSWORD_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'File that holds the password, in place of the variable.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_TLS_CA_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: "PEM file of the authorities that vouch for Redis, in place of the system's.",
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_REDIS_TLS_CERT_FILE: {
    ...IDENTITY,
    readBy: 'scorer, up, demo',
    meaning: 'PEM file of our own certificate with its chain, where Redis asks for one.',
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
