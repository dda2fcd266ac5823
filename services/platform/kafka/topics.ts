// The topics: names, partitions and retention. infra/ and the tests create them from this list.

import { setTimeout as sleepMs } from 'node:timers/promises'
import kafkajs, { type Admin, type ITopicConfig } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { kafkaRefusal } from './kafka-failure.ts'

export const TOPICS = [
  'transactions',
  'labels',
  'decisions',
  'alerts',
  'leases',
  'alerts-resent',
  'receipts',
  'dispositions',
  'control',
  'artifacts',
  'dead-letters',
  'forward-dead-letters',
] as const

export type Topic = (typeof TOPICS)[number]

export const PARTITION_COUNT_DEFAULT = 4

const DAY_MS = 86_400_000
/**
 * The broker refuses messages whose time is further ahead of its clock: such a time would end all windows and leases.
 */
export const MESSAGE_AHEAD_MS_MAX = 3_600_000
/** The longest reach of a feature is 37 days; inputs are kept longer so that state can be rebuilt from them. */
const INPUT_RETENTION_MS = 60 * DAY_MS
const LEADERS_MS_MAX = 15_000
const FORGOTTEN_MS_MAX = 15_000
const LEADERS_POLL_MS = 20
/** With this many replicas a broker may fail while two still hold every message. */
const SAFE_REPLICAS_MIN = 3
const IN_SYNC_MIN = 2
const BLOCK_BYTES_MAX = 16 * 1024 * 1024

const INPUT_CONFIG = {
  'retention.ms': String(INPUT_RETENTION_MS),
  'message.timestamp.after.max.ms': String(MESSAGE_AHEAD_MS_MAX),
}

const CONFIG: Readonly<Record<Topic, Readonly<Record<string, string>>>> = {
  transactions: INPUT_CONFIG,
  labels: INPUT_CONFIG,
  decisions: {
    'retention.ms': String(INPUT_RETENTION_MS),
    'max.message.bytes': String(BLOCK_BYTES_MAX),
  },
  alerts: { 'retention.ms': String(INPUT_RETENTION_MS) },
  leases: { 'cleanup.policy': 'compact' },
  'alerts-resent': { 'retention.ms': String(INPUT_RETENTION_MS) },
  receipts: { 'retention.ms': String(INPUT_RETENTION_MS) },
  // Holds the newest disposition of a transaction, for as long as labels are kept.
  dispositions: { 'cleanup.policy': 'compact,delete', 'retention.ms': String(INPUT_RETENTION_MS) },
  control: { 'cleanup.policy': 'compact' },
  artifacts: { 'cleanup.policy': 'compact' },
  'dead-letters': { 'retention.ms': String(INPUT_RETENTION_MS) },
  'forward-dead-letters': { 'retention.ms': String(INPUT_RETENTION_MS) },
}

/** Name of a topic with the stream's prefix. */
export function topicName(prefix: string, topic: Topic): string {
  return `${prefix}${topic}`
}

/** Partition counts that do not depend on the stream's. */
const FIXED_PARTITIONS: Readonly<Partial<Record<Topic, number>>> = {
  // Operators' messages are few and need one order.
  control: 1,
  // Manifests, and the chunks of their content.
  artifacts: 2,
}

/** Partition count of a topic in a stream with `partitionCount` partitions. */
export function partitionCountOf(topic: Topic, partitionCount: number): number {
  return FIXED_PARTITIONS[topic] ?? partitionCount
}

/** True for a topic with the partition count of the stream. */
export function followsPartitionCount(topic: Topic): boolean {
  return FIXED_PARTITIONS[topic] === undefined
}

/** Creates missing topics; existing ones are left alone. */
export async function createTopics(
  admin: Admin,
  prefix: string,
  options: { readonly partitionCount: number; readonly replicationFactor: number },
): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const missing = TOPICS.filter((topic) => !existing.has(topicName(prefix, topic)))
  if (missing.length === 0) return
  const topics = missing.map((topic): ITopicConfig => ({
    topic: topicName(prefix, topic),
    numPartitions: partitionCountOf(topic, options.partitionCount),
    replicationFactor: options.replicationFactor,
    configEntries: Object.entries({
      ...CONFIG[topic],
      ...durableConfig(options.replicationFactor),
    }).map(([name, value]) => ({ name, value })),
  }))
  await makeTopics(admin, topics)
}

/**
 * A committed message is on at least two disks, and no broker without it becomes the leader. With two replicas a
 * minimum of two would stop the stream whenever one broker restarts, so the broker's own minimum stays.
 */
function durableConfig(replicationFactor: number): Readonly<Record<string, string>> {
  const isSafe = replicationFactor >= SAFE_REPLICAS_MIN
  return {
    'unclean.leader.election.enable': 'false',
    ...(isSafe ? { 'min.insync.replicas': String(IN_SYNC_MIN) } : {}),
  }
}

/** The settings that keep the messages of a topic when a broker fails. */
export interface TopicDurability {
  readonly topic: string
  readonly replicas: number
  /** NaN when the broker does not report it. */
  readonly inSyncMin: number
  /** Null when the broker does not report it. */
  readonly isUnclean: boolean | null
}

/** Reads the settings of existing topics. The broker refuses a user without the right to describe configurations. */
export async function readDurability(
  admin: Admin,
  names: readonly string[],
): Promise<readonly TopicDurability[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [...names] })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
  })
  return topics.map(({ name, partitions }) => {
    const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? []
    const valueOf = (key: string): string | undefined =>
      entries.find(({ configName }) => configName === key)?.configValue
    const unclean = valueOf('unclean.leader.election.enable')
    return {
      topic: name,
      replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
      inSyncMin: Number(valueOf('min.insync.replicas') ?? NaN),
      isUnclean: unclean === undefined ? null : unclean === 'true',
    }
  })
}

/**
 * The setting that may lose committed messages, in words; null when none does, or when the topic has too few replicas
 * for a safe setting.
 */
export function durabilityFault(topic: TopicDurability): string | null {
  const { replicas, inSyncMin, isUnclean } = topic
  if (isUnclean === true)
    return `${topic.topic}: a broker without the newest messages may become the leader; set unclean.leader.election.enable=false`
  if (replicas >= SAFE_REPLICAS_MIN && inSyncMin < IN_SYNC_MIN)
    return `${topic.topic}: a message counts as written with ${inSyncMin} of ${replicas} replicas; set min.insync.replicas=${IN_SYNC_MIN}`
  if (inSyncMin > replicas)
    return `${topic.topic}: min.insync.replicas=${inSyncMin} can never be reached with ${replicas} replicas`
  return null
}

/** Creates topics, and waits until each partition has a leader that answers. */
export async function makeTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  // kafkajs' own waiting throws when the broker does not know the new topic yet.
  await admin.createTopics({ topics, waitForLeaders: false }).catch((error: unknown) => {
    throw kafkaRefusal(error) ?? error
  })
  await leadersElected(
    admin,
    topics.map(({ topic }) => topic),
  )
}

async function leadersElected(admin: Admin, names: string[]): Promise<void> {
  const endMs = performance.now() + LEADERS_MS_MAX
  for (;;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: names })
      if (topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))) {
        // A broker may be named leader a moment before it acts as one, and then refuses this.
        await Promise.all(names.map((name) => admin.fetchTopicOffsets(name)))
        return
      }
    } catch (error) {
      const refusal = kafkaRefusal(error)
      if (refusal !== null) throw refusal
      if (performance.now() > endMs) throw error
    }
    if (performance.now() > endMs) {
      throw new SluiceError(
        'SLUICE_BROKER_UNAVAILABLE',
        `No leader was elected for ${names.join(', ')} within ${LEADERS_MS_MAX / 1_000} s.`,
      )
    }
    await sleepMs(LEADERS_POLL_MS)
  }
}

/** Partition count of each existing topic of the prefix. */
export async function partitionCountsOf(
  admin: Admin,
  prefix: string,
): Promise<ReadonlyMap<Topic, number>> {
  const existing = new Set(await admin.listTopics())
  const present = TOPICS.filter((topic) => existing.has(topicName(prefix, topic)))
  if (present.length === 0) return new Map()
  const { topics } = await admin.fetchTopicMetadata({
    topics: present.map((topic) => topicName(prefix, topic)),
  })
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions.length]))
  return new Map(present.map((topic) => [topic, counts.get(topicName(prefix, topic)) ?? 0]))
}

/** Deletes the topics of a prefix, such as a finished demo's, and waits until the broker has. */
export async function deleteTopics(admin: Admin, prefix: string): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const topics = TOPICS.map((topic) => topicName(prefix, topic)).filter((name) =>
    existing.has(name),
  )
  if (topics.length === 0) return
  await admin.deleteTopics({ topics })
  await forgotten(admin, topics)
}

/**
 * Waits until the broker no longer lists these topics. The controller answers a deletion before the brokers have
 * applied it; topics created again before that would be taken for the old ones.
 */
async function forgotten(admin: Admin, names: readonly string[]): Promise<void> {
  const endMs = performance.now() + FORGOTTEN_MS_MAX
  for (;;) {
    const listed = new Set(await admin.listTopics())
    const left = names.filter((name) => listed.has(name))
    if (left.length === 0) return
    if (performance.now() > endMs) {
      throw new SluiceError(
        'SLUICE_BROKER_UNAVAILABLE',
        `The broker still lists deleted topics after ${FORGOTTEN_MS_MAX / 1_000} s: ${left.join(', ')}.`,
      )
    }
    await sleepMs(LEADERS_POLL_MS)
  }
}

/**
 * Partition count of the input topics; `needed` topics must exist. @throws SluiceError SLUICE_TOPICS_INVALID when a
 * topic is missing, or when topics that go together have different counts.
 */
export async function readPartitionCount(
  admin: Admin,
  prefix: string,
  needed: readonly Topic[] = TOPICS,
): Promise<number> {
  const names = needed.map((topic) => topicName(prefix, topic))
  const existing = new Set(await admin.listTopics())
  const missing = names.filter((name) => !existing.has(name))
  if (missing.length > 0) {
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `Topics are missing: ${missing.join(', ')}. Create them, or check SLUICE_TOPIC_PREFIX; a cluster ` +
        'with access control hides topics to which this user has no right.',
    )
  }
  const together = (['transactions', 'labels', 'decisions', 'alerts', 'leases'] as const)
    .filter((topic) => needed.includes(topic))
    .map((topic) => topicName(prefix, topic))
  const { topics } = await admin.fetchTopicMetadata({ topics: together })
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions.length]))
  const distinct = new Set(counts.values())
  const [count] = distinct
  if (distinct.size !== 1 || count === undefined) {
    const seen = [...counts].map(([name, partitions]) => `${name} ${partitions}`).join(', ')
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `These topics must have the same number of partitions: ${seen}. Recreate the odd one.`,
    )
  }
  return count
}
