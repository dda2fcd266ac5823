// The topics of the stream: do they keep messages for as long as state may have to be rebuilt from them?

import { DAY_MS, LATENESS_MS, REACH_MS } from '../../services/core/features/catalogue/time.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { fail, ok, warn, type Check, type Finding } from './finding.ts'

/** Inputs must outlive the longest look back of a feature, and what may come late. */
const RETENTION_MS_MIN = REACH_MS + LATENESS_MS
/** State is folded from the inputs; what duplicates get, and what the skew meter compares, from the decisions. */
const KEPT = ['transactions', 'labels', 'decisions'] as const
const CONNECT_LIMIT_MS = 2_000
const NOT_SEEN_REMEDY = 'Check the addresses, and the right to describe configurations of topics.'

/** What a topic says of its retention. */
export interface TopicRetention {
  readonly topic: string
  /** -1 keeps messages for ever. */
  readonly retentionMs: number
  /** -1 sets no limit. */
  readonly retentionBytes: number
  /** True when messages may go that a later one of the same key replaces. */
  readonly isCompacted: boolean
}

/** `connection` is null while no Kafka is known. */
export function topicChecks(
  connection: KafkaConnection | null,
  topicPrefix: string,
): readonly Check[] {
  return [{ name: 'Retention', look: () => checkRetention(connection, topicPrefix) }]
}

async function checkRetention(
  connection: KafkaConnection | null,
  topicPrefix: string,
): Promise<Omit<Finding, 'name'>> {
  if (connection === null) return ok('no Kafka to ask')
  const [{ openKafka }, { default: kafkajs }] = await Promise.all([
    import('../../services/platform/kafka/kafka-client.ts'),
    import('kafkajs'),
  ])
  const admin = openKafka(connection, {
    clientId: 'sluice-doctor',
    connectionTimeout: CONNECT_LIMIT_MS,
    requestTimeout: CONNECT_LIMIT_MS,
    retry: { retries: 1, initialRetryTime: 50 },
  }).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const names = KEPT.map((topic) => topicName(topicPrefix, topic))
    if (!names.every((name) => existing.has(name)))
      return ok(`no topics ${names.join(', ')} to be seen; "sluice topics create" makes them`)
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    })
    return judgeRetention(
      resources.map(({ resourceName, configEntries }) => {
        const entry = (key: string): string | undefined =>
          configEntries.find(({ configName }) => configName === key)?.configValue
        return {
          topic: resourceName,
          retentionMs: Number(entry('retention.ms') ?? NaN),
          retentionBytes: Number(entry('retention.bytes') ?? NaN),
          isCompacted: entry('cleanup.policy')?.includes('compact') === true,
        }
      }),
    )
  } catch (error) {
    return warn(
      `not seen: ${error instanceof Error ? error.message : String(error)}`,
      NOT_SEEN_REMEDY,
    )
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** Judges what the topics say. */
export function judgeRetention(topics: readonly TopicRetention[]): Omit<Finding, 'name'> {
  const days = (ms: number): string =>
    Number.isNaN(ms) ? 'not told' : ms < 0 ? 'for ever' : `${Math.floor(ms / DAY_MS)} days`
  const seen = topics.map(({ topic, retentionMs }) => `${topic} ${days(retentionMs)}`).join(', ')
  const compacted = topics.filter(({ isCompacted }) => isCompacted)
  if (compacted.length > 0) {
    return fail(
      seen,
      'Compaction takes messages that state is rebuilt from. ' +
        `Set cleanup.policy=delete for ${compacted.map(({ topic }) => topic).join(', ')}.`,
    )
  }
  if (topics.some(({ retentionMs }) => Number.isNaN(retentionMs))) {
    return warn(seen, NOT_SEEN_REMEDY)
  }
  const short = topics.filter(
    ({ retentionMs }) => retentionMs >= 0 && retentionMs < RETENTION_MS_MIN,
  )
  if (short.length > 0) {
    return warn(
      seen,
      `State cannot be rebuilt in full: features look back ${days(RETENTION_MS_MIN)}, late events included. ` +
        `Raise retention.ms of ${short.map(({ topic }) => topic).join(', ')}.`,
    )
  }
  const bounded = topics.filter(({ retentionBytes }) => retentionBytes >= 0)
  if (bounded.length > 0) {
    return warn(
      seen,
      `A limit in bytes may cut that short; unset retention.bytes of ${bounded.map(({ topic }) => topic).join(', ')}.`,
    )
  }
  return ok(`${seen}; features look back ${days(RETENTION_MS_MIN)}, late events included`)
}
