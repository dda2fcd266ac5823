// Variables that say where Kafka and Redis are and how to be let in.

import type { Variable } from './variable.ts'

const CONNECTION = { group: 'Where Kafka and Redis are' } as const

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
} as const satisfies Readonly<Record<string, Variable>>
