// Where the topics end, asked again and again while a writer runs.

import { placeOf } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES } from '../core/lake/lake-tables.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { readLogEnds } from '../platform/kafka/log-ends.ts'
import { topicName } from '../platform/kafka/topics.ts'
import type { Closable } from '../platform/lifecycle.ts'
import { TOPIC_OF } from './topic-ranges.ts'

const CONNECTION_TIMEOUT_MS = 3_000
/** Few and short: it is asked again soon. */
const RETRY = { retries: 2, initialRetryTime: 50, maxRetryTime: 500 }

export interface TopicEnds extends Closable {
  /** By table and partition; as of the last answer while the broker gives none. */
  read(): Promise<ReadonlyMap<string, number>>
}

/** Connects when it is first asked. */
export function openTopicEnds(connection: KafkaConnection, topicPrefix: string): TopicEnds {
  const admin = openKafka(connection, {
    clientId: 'sluice-lake',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  }).admin()
  const ends = new Map<string, number>()
  let isConnected = false
  return {
    async read() {
      try {
        if (!isConnected) await admin.connect()
        isConnected = true
        for (const table of TOPIC_TABLES) {
          const found = await readLogEnds(admin, topicName(topicPrefix, TOPIC_OF[table]))
          for (const [partition, { high }] of found) ends.set(placeOf(table, partition), high)
        }
      } catch {
        // The reader of the messages meets the same broker, and says what is wrong with it.
      }
      return ends
    },
    close: () => admin.disconnect(),
  }
}
