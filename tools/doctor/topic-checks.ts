// Checks of the stream's topics: whether they keep messages for as long as a rebuild of state may need them, and
// whether they refuse messages from the future.

import { DAY_MS, LATENESS_MS, REACH_MS } from '../../services/core/features/catalogue/time.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import {
  durabilityFault,
  MESSAGE_AHEAD_MS_MAX,
  readDurability,
  topicName,
  TOPICS,
  type Topic,
  type TopicDurability,
} from '../../services/platform/kafka/topics.ts'
import { fail, ok, warn, type Check, type Finding } from './finding.ts'

/** Inputs must outlive the longest window of a feature plus the allowed lateness. */
const RETENTION_MS_MIN = REACH_MS + LATENESS_MS
/** The inputs rebuild the state; the decisions answer duplicates and serve the skew meter. */
const KEPT = ['transactions', 'labels', 'decisions'] as const
/** Their messages carry times set by banks' systems. */
const INPUTS = ['transactions', 'labels'] as const
const CONNECT_LIMIT_MS = 2_000
const NOT_SEEN_REMEDY = 'Check the addresses, and the right to describe configurations of topics.'

/** Retention settings of a topic. */
export interface TopicRetention {
  readonly topic: string
  /** -1 keeps messages forever. */
  readonly retentionMs: number
  /** -1 sets no limit. */
  readonly retentionBytes: number
  /** True when a later message with the same key may replace an earlier one. */
  readonly isCompacted: boolean
}

/** Largest lead of a message over the broker's clock; 0 when the broker sets the time of messages itself. */
export interface TopicTimes {
  readonly topic: string
  readonly aheadMsMax: number
}

/** A topic, and the value of one of its settings. */
interface TopicConfig extends TopicDurability {
  readonly entry: (key: string) => string | undefined
}

/** `connection` is null while no Kafka is known. */
export function topicChecks(
  connection: KafkaConnection | null,
  topicPrefix: string,
): readonly Check[] {
  const check = (
    name: string,
    topics: readonly Topic[],
    judge: (configs: readonly TopicConfig[]) => Omit<Finding, 'name'>,
  ): Check => ({ name, look: () => lookAt(connection, topicPrefix, topics, judge) })
  return [
    check('Retention', KEPT, (configs) =>
      judgeRetention(
        configs.map(({ topic, entry }) => ({
          topic,
          retentionMs: Number(entry('retention.ms') ?? NaN),
          retentionBytes: Number(entry('retention.bytes') ?? NaN),
          isCompacted: entry('cleanup.policy')?.includes('compact') === true,
        })),
      ),
    ),
    check('Durability', TOPICS, judgeDurability),
    check('Message times', INPUTS, (configs) =>
      judgeTimes(
        configs.map(({ topic, entry }) => ({
          topic,
          aheadMsMax:
            entry('message.timestamp.type') === 'LogAppendTime'
              ? 0
              : Number(entry('message.timestamp.after.max.ms') ?? NaN),
        })),
      ),
    ),
  ]
}

async function lookAt(
  connection: KafkaConnection | null,
  topicPrefix: string,
  topics: readonly Topic[],
  judge: (configs: readonly TopicConfig[]) => Omit<Finding, 'name'>,
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
    const names = topics.map((topic) => topicName(topicPrefix, topic))
    if (!names.every((name) => existing.has(name)))
      return ok(`no topics ${names.join(', ')} to be seen; "sluice topics create" makes them`)
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    })
    const durability = await readDurability(admin, names)
    return judge(
      durability.map((topic) => ({
        ...topic,
        entry: (key) =>
          resources
            .find(({ resourceName }) => resourceName === topic.topic)
            ?.configEntries.find(({ configName }) => configName === key)?.configValue,
      })),
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

/** Judges how much of a topic survives the loss of a broker. */
export function judgeDurability(topics: readonly TopicDurability[]): Omit<Finding, 'name'> {
  const replicas = Math.min(...topics.map((topic) => topic.replicas))
  const inSyncMin = Math.min(...topics.map((topic) => topic.inSyncMin))
  const isUnclean = topics.some((topic) => topic.isUnclean === true)
  const seen =
    `${replicas} replicas at least, min.insync.replicas ${Number.isNaN(inSyncMin) ? 'unknown' : inSyncMin}, ` +
    `unclean elections ${isUnclean ? 'on' : 'off'}`
  const faults = topics.flatMap((topic) => durabilityFault(topic) ?? [])
  if (faults.length > 0) return fail(seen, `Committed messages may be lost: ${faults.join('; ')}.`)
  if (topics.some((topic) => Number.isNaN(topic.inSyncMin) || topic.isUnclean === null))
    return warn(seen, NOT_SEEN_REMEDY)
  return ok(seen)
}

/** Judges how far ahead of the clock messages may be. */
export function judgeTimes(topics: readonly TopicTimes[]): Omit<Finding, 'name'> {
  const minutes = (ms: number): string =>
    Number.isNaN(ms)
      ? 'unknown'
      : ms > DAY_MS
        ? 'more than a day'
        : `${Math.floor(ms / 60_000)} min`
  const seen = topics
    .map(({ topic, aheadMsMax }) => `${topic} ${minutes(aheadMsMax)} ahead at most`)
    .join(', ')
  if (topics.some(({ aheadMsMax }) => Number.isNaN(aheadMsMax))) return warn(seen, NOT_SEEN_REMEDY)
  const open = topics.filter(({ aheadMsMax }) => aheadMsMax > MESSAGE_AHEAD_MS_MAX)
  if (open.length === 0) return ok(seen)
  return warn(
    seen,
    'A message of the future would end the windows and leases of its partition. ' +
      `Set message.timestamp.after.max.ms=${MESSAGE_AHEAD_MS_MAX} for ${open.map(({ topic }) => topic).join(', ')}.`,
  )
}

/** Judges the retention of the topics. */
export function judgeRetention(topics: readonly TopicRetention[]): Omit<Finding, 'name'> {
  const days = (ms: number): string =>
    Number.isNaN(ms) ? 'unknown' : ms < 0 ? 'for ever' : `${Math.floor(ms / DAY_MS)} days`
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
