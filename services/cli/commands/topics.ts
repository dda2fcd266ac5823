// sluice topics: creates the topics of a stream, and checks their settings. It is safe to run repeatedly and before
// every deployment: existing topics are left alone, and a different partition count is refused, since changing it would
// move cards to other partitions.

import type { Command } from 'commander'
import type { Admin } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaRefusal } from '../../platform/kafka/kafka-failure.ts'
import {
  PARTITION_COUNT_DEFAULT,
  TOPICS,
  createTopics,
  durabilityFault,
  followsPartitionCount,
  partitionCountOf,
  readDurability,
  partitionCountsOf,
  readPartitionCount,
  topicName,
  type Topic,
  type TopicDurability,
} from '../../platform/kafka/topics.ts'
import { loadProducerConfig } from '../../producer/index.ts'
import { parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { brokersOption } from './stream-options.ts'

const PARTITIONS_MAX = 1_024
const REPLICATION_MAX = 9
const CONNECTION_MS_MAX = 3_000
/** A broker may not know a topic yet that another one has just created. */
const READ_ATTEMPTS_MAX = 5

interface Options {
  readonly partitions?: number
  readonly replication: number
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly json?: boolean
}

/** Status of the topics after the command. */
interface TopicsReport {
  readonly partitionCount: number
  /** Null when the cluster does not grant access to it. */
  readonly durability: readonly TopicDurability[] | null
  readonly topics: readonly { readonly name: string; readonly isNew: boolean }[]
}

const EXAMPLES = `
Examples:
  $ sluice topics create --partitions 12 --replication 3
  $ sluice topics check --partitions 12 --json`

/** Adds the command to the program. */
export function register(program: Command): void {
  const topics = program
    .command('topics')
    .summary('make and check the topics of a stream')
    .description(
      'Makes the topics of a stream, and checks them. The partition count is permanent: it decides which ' +
        'partition a card belongs to.',
    )
    .addHelpText('after', EXAMPLES)
  const create = topics
    .command('create')
    .summary('make the topics that are missing')
    .description(
      'Makes the topics that are missing and leaves the others as they are. Refuses when they exist with ' +
        'another partition count than asked for. With 3 replicas or more, a message counts as written once two ' +
        'have it (min.insync.replicas 2); leaders are never elected uncleanly.',
    )
    .option(
      '--replication <count>',
      'replicas of each new topic (default 1)',
      parseInteger(1, REPLICATION_MAX),
      1,
    )
  addOptions(create).action((options: Options) => run(options, createAll))
  const check = topics
    .command('check')
    .summary('fail when a topic is missing or counts do not agree')
    .description(
      'Changes nothing. Fails when a topic is missing, partition counts do not agree, or a setting lets committed ' +
        'messages be lost: unclean elections, or min.insync.replicas 1 with 3 replicas.',
    )
  addOptions(check).action((options: Options) =>
    run(options, (admin, prefix) => checkAll(admin, prefix, options)),
  )
}

function addOptions(command: Command): Command {
  return command
    .option(
      '--partitions <count>',
      `partitions of every topic but control (default ${PARTITION_COUNT_DEFAULT}, or what is there)`,
      parseInteger(1, PARTITIONS_MAX),
    )
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      'put before topic names (default SLUICE_TOPIC_PREFIX or none)',
    )
    .option('--json', 'print the topics as JSON')
    .addHelpText('after', EXAMPLES)
}

async function run(
  options: Options,
  work: (admin: Admin, prefix: string, options: Options) => Promise<TopicsReport>,
): Promise<void> {
  const config = loadProducerConfig(process.env)
  const prefix = options.topicPrefix ?? config.topicPrefix
  const admin = await openAdmin({ ...config, brokers: options.brokers ?? config.brokers })
  try {
    print(await work(admin, prefix, options), options)
  } catch (error) {
    throw kafkaRefusal(error) ?? error
  } finally {
    await admin.disconnect()
  }
}

async function createAll(admin: Admin, prefix: string, options: Options): Promise<TopicsReport> {
  const before = await partitionCountsOf(admin, prefix)
  const [present] = [...before].filter(([topic]) => followsPartitionCount(topic))
  const partitionCount = options.partitions ?? present?.[1] ?? PARTITION_COUNT_DEFAULT
  refuseOtherCounts(before, prefix, partitionCount)
  await createTopics(admin, prefix, { partitionCount, replicationFactor: options.replication })
  return {
    durability: await seenDurability(admin, prefix),
    partitionCount: await readFinalisedCount(admin, prefix),
    topics: TOPICS.map((topic) => ({ name: topicName(prefix, topic), isNew: !before.has(topic) })),
  }
}

async function checkAll(admin: Admin, prefix: string, options: Options): Promise<TopicsReport> {
  const partitionCount = await readPartitionCount(admin, prefix)
  const counts = await partitionCountsOf(admin, prefix)
  refuseOtherCounts(counts, prefix, options.partitions ?? partitionCount)
  const durability = await seenDurability(admin, prefix)
  const faults = (durability ?? []).flatMap((topic) => durabilityFault(topic) ?? [])
  if (faults.length > 0) {
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `Topics may lose committed messages: ${faults.join('; ')}. "kafka-configs.sh --alter" changes that in operation.`,
    )
  }
  return {
    partitionCount,
    durability,
    topics: TOPICS.map((topic) => ({ name: topicName(prefix, topic), isNew: false })),
  }
}

/** Null when access is denied: creating topics needs fewer rights than reading their settings. */
async function seenDurability(
  admin: Admin,
  prefix: string,
): Promise<readonly TopicDurability[] | null> {
  try {
    return await readDurability(
      admin,
      TOPICS.map((topic) => topicName(prefix, topic)),
    )
  } catch (error) {
    if (kafkaRefusal(error) !== null) return null
    throw error
  }
}

/** @throws SluiceError SLUICE_TOPICS_INVALID naming each topic with a different count. */
function refuseOtherCounts(
  counts: ReadonlyMap<Topic, number>,
  prefix: string,
  partitionCount: number,
): void {
  const others = [...counts].filter(
    ([topic, count]) => count !== partitionCountOf(topic, partitionCount),
  )
  if (others.length === 0) return
  const seen = others.map(([topic, count]) => `${topicName(prefix, topic)} ${count}`).join(', ')
  throw new SluiceError(
    'SLUICE_TOPICS_INVALID',
    `Topics exist with other partition counts than ${partitionCount} (control: 1, artifacts: 2): ${seen}. The count ` +
      'cannot be changed while a stream lives: ask for the one that is there, or use another prefix.',
  )
}

async function readFinalisedCount(admin: Admin, prefix: string): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readPartitionCount(admin, prefix)
    } catch (error) {
      const isNotYetKnown = (error as { type?: string }).type === 'UNKNOWN_TOPIC_OR_PARTITION'
      if (!isNotYetKnown || attempt === READ_ATTEMPTS_MAX) throw error
    }
  }
}

async function openAdmin(connection: KafkaConnection): Promise<Admin> {
  const admin = openKafka(connection, {
    clientId: 'sluice-topics',
    connectionTimeout: CONNECTION_MS_MAX,
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 },
  }).admin()
  try {
    await admin.connect()
  } catch (error) {
    throw (
      (await explainKafka(connection, error)) ??
      new SluiceError(
        'SLUICE_BROKER_UNAVAILABLE',
        `Kafka at ${connection.brokers.join(',')} does not answer; check SLUICE_KAFKA_BROKERS and "sluice status".`,
        { cause: error },
      )
    )
  }
  return admin
}

function print(report: TopicsReport, options: Options): void {
  if (options.json === true) {
    printJson(report)
    return
  }
  for (const { name, isNew } of report.topics) printLine(`${name}${isNew ? '  (new)' : ''}`)
  printLine(`${report.partitionCount} partitions, control 1`)
  if (report.durability === null) {
    printProgress('the cluster does not let this user see min.insync.replicas and the elections')
    return
  }
  for (const line of durabilityLines(report.durability)) printLine(line)
  if (report.durability.some(({ replicas }) => replicas < 3)) {
    printProgress(
      'with fewer than 3 replicas, the loss of a disk or a broker may take committed decisions',
    )
  }
}

/** One line per group of topics with equal settings. */
function durabilityLines(topics: readonly TopicDurability[]): readonly string[] {
  const lines = topics.map(({ replicas, inSyncMin, isUnclean }) => {
    const elections = isUnclean === null ? 'not told' : isUnclean ? 'UNCLEAN' : 'clean'
    const minimum = Number.isNaN(inSyncMin) ? 'not told' : inSyncMin
    return `${replicas} replicas, min.insync.replicas ${minimum}, elections ${elections}`
  })
  return [...new Set(lines)]
}
