// The scorer service: opens its dependencies in order, and closes them in reverse.

import { createHash } from 'node:crypto'
import type { Admin } from 'kafkajs'
import { createCodecs, type Codecs } from '../core/wire/codecs.ts'
import { registerCompressionCodecs } from '../platform/kafka/compression.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import { openKafkajsLogClient } from '../platform/kafka/kafkajs-log-client.ts'
import type { LogClient, LogClientOptions } from '../platform/kafka/log-client.ts'
import { readTopicId } from '../platform/kafka/native/cluster.ts'
import { openNativeLogClient } from '../platform/kafka/native/native-log-client.ts'
import { explainKafka, kafkaAway } from '../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { type MetricsServer, openMetricsServer } from '../platform/metrics/metrics-server.ts'
import {
  createScorerTelemetry,
  type ScorerTelemetry,
} from '../platform/metrics/scorer-telemetry.ts'
import type {
  PartitionStore,
  PartitionStoreOptions,
} from '../platform/redis/partition-store-contract.ts'
import { openPartitionStore, SILENCE_MS_MAX } from '../platform/redis/partition-store.ts'
import { openSchemaRegistry } from '../platform/registry/http-registry.ts'
import { type BatchTracer, openBatchTracer } from '../platform/tracing/open-tracing.ts'
import type { OutputOptions } from './publish/batch-output.ts'
import type { ScorerConfig } from './config.ts'
import type { DecideOptions } from './decide/decide-options.ts'
import type { HeldOutput } from './batch/partition-batch.ts'
import { ConsumerGroup } from './intake/consumer-group.ts'
import { openConfiguredModel, ScorerModels } from './deployments/scorer-models.ts'
import type { Serving } from './deployments/served-models.ts'
import { OperatorOverrides } from './deployments/operator-overrides.ts'
import { observeRedis } from './redis-observer.ts'

const KAFKA_RETRY = { initialRetryTime: 50, maxRetryTime: 2_000, retries: 10 } as const
/** A scorer needs no rights on other topics. */
const TOPICS_USED = [
  'transactions',
  'labels',
  'decisions',
  'alerts',
  'leases',
  'dead-letters',
  'control',
] as const

/** The adapters that guarantee exactly-once. A test replaces one in code; no configuration can. */
export interface ScorerAdapters {
  readonly openLog: (
    client: ScorerConfig['kafkaClient'],
    options: LogClientOptions,
  ) => LogClient | Promise<LogClient>
  readonly openStore: typeof openPartitionStore
}

export const SCORER_ADAPTERS: ScorerAdapters = {
  openLog: (client, options) =>
    client === 'native' ? openNativeLogClient(options) : openKafkajsLogClient(options),
  openStore: openPartitionStore,
}

export interface RunningScorer {
  readonly metricsPort: number
  /** Resolves with the error when the consumer has crashed for good. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

/** Starts the scorer; resolves once it has joined the group. Model errors stop it before Kafka is asked. */
export async function openScorer(
  config: ScorerConfig,
  log: Logger,
  adapters = SCORER_ADAPTERS,
): Promise<RunningScorer> {
  const opened: Closable[] = []
  try {
    return await open(config, log, adapters, opened)
  } catch (error) {
    await closeAll(opened).catch(() => undefined)
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  }
}

async function open(
  config: ScorerConfig,
  log: Logger,
  adapters: ScorerAdapters,
  opened: Closable[],
): Promise<RunningScorer> {
  const telemetry = createScorerTelemetry()
  const configured = await openConfiguredModel(config, log)
  const models = new ScorerModels(config, configured, log, telemetry)
  opened.push(models)
  registerCompressionCodecs()
  const codecs = await loadCodecs(config)
  const kafka = openKafka(config, { clientId: 'sluice-scorer', retry: KAFKA_RETRY }, log)
  const admin = kafka.admin()
  await admin.connect()
  opened.push({ close: () => admin.disconnect() })
  const partitionCount = await readPartitionCount(admin, config.topicPrefix, TOPICS_USED)
  telemetry.partitionsCounted(partitionCount)
  const topics = topicsOf(config.topicPrefix)
  const streamId = config.streamId ?? (await streamIdOf(config, admin, topics.transactions))
  const store = await adapters.openStore(
    storeOptions(config, log, streamId, partitionCount, telemetry),
  )
  opened.push(store, observeRedis(store, telemetry))
  const overrides = await followControl(config, log, models, codecs, telemetry)
  const tracer = await openTracer(config, log, telemetry, topics)
  if (tracer !== null) opened.push(tracer)

  const group = new ConsumerGroup({
    config,
    log,
    telemetry,
    tracer,
    admin,
    store,
    openLog: (options) => adapters.openLog(config.kafkaClient, options),
    words: overrides,
    inbox: (partition) => ({
      partition,
      partitionCount,
      transactionsTopic: topics.transactions,
      labelsTopic: topics.labels,
      codecs,
      get rates() {
        return models.rates
      },
      missingRate: config.missingRate,
      batchSizeMax: config.batchSizeMax,
      alignment: config.alignment,
      eventAheadMsMax: config.eventAheadMsMax,
      hmacKey: config.deadLetterHmacKey,
    }),
    takeOutput: (partition) => {
      const held = models.take()
      const decide = decideOptions(config, held, streamId, topics.transactions, {
        partition,
        partitionCount,
        breakerResets: overrides.breakerResets,
        keepsSequences: models.keepsSequences,
      })
      return heldOutput(models, held, { codecs, topics, decide })
    },
  })
  const server = await openReadiness(config, telemetry, models, group, store)
  opened.push(server)
  // A group that fails to join also has connections to close.
  opened.push(group)
  await group.start()
  return { metricsPort: server.port, failed: group.failed, close: () => closeAll(opened) }
}

/** Follows the control topic: models and policies to deploy, and operators' overrides. */
async function followControl(
  config: ScorerConfig,
  log: Logger,
  models: ScorerModels,
  codecs: Codecs,
  telemetry: ScorerTelemetry,
): Promise<OperatorOverrides> {
  const overrides = new OperatorOverrides()
  const topic = topicName(config.topicPrefix, 'control')
  const onOther = overrides.accept.bind(overrides)
  await models.followControl({ ...config, topic, codecs, telemetry, log, onOther })
  return overrides
}

async function loadCodecs({ schemaRegistryUrl, topicPrefix }: ScorerConfig): Promise<Codecs> {
  const registry = openSchemaRegistry({ url: schemaRegistryUrl, topicPrefix, register: false })
  return createCodecs(await registry.load())
}

/** The options and callbacks of one batch, with the model that it holds. */
function heldOutput(
  models: ScorerModels,
  held: ReturnType<ScorerModels['take']>,
  common: Pick<OutputOptions, 'codecs' | 'topics' | 'decide'>,
): HeldOutput {
  const { controlPosition, model, policy, rates } = held
  return {
    options: { ...common, backend: model.info.backend, rates, controlPosition },
    committed: (decided) => {
      models.committed(decided, policy)
    },
    release: () => {
      held.release()
    },
  }
}

/** Metrics and readiness of the process. */
function openReadiness(
  config: ScorerConfig,
  { registry }: ScorerTelemetry,
  models: ScorerModels,
  group: ConsumerGroup,
  store: PartitionStore,
): Promise<MetricsServer> {
  return openMetricsServer({
    ...config.metrics,
    registry,
    readiness: () => ({
      isReady: group.hasJoined,
      details: {
        backend: models.current.model.info.backend,
        model: models.current.model.info.version,
        partitions: group.partitions,
        redis: store.isUp ? 'up' : 'down',
        degradedPartitions: group.degradedPartitions,
        ...models.fallback,
      },
    }),
  })
}

function storeOptions(
  config: ScorerConfig,
  log: Logger,
  streamId: string,
  partitionCount: number,
  telemetry: ScorerTelemetry,
): PartitionStoreOptions {
  return {
    ...config.redis,
    log,
    streamId,
    partitionCount,
    onRoundTrip: (operation, durationMs) => {
      telemetry.redisCalled(operation, durationMs)
    },
    onConnection: (isUp) => {
      telemetry.redisConnection(isUp)
    },
    answerMsMax: config.alignment === 'live' ? config.stateTimeoutMs : SILENCE_MS_MAX,
    cacheBytesMax: config.stateCacheMib * 2 ** 20,
    // A live partition decides without Redis; an aligned replay would only wait.
    mayBeAway: config.alignment === 'live',
  }
}

async function openTracer(
  config: ScorerConfig,
  log: Logger,
  telemetry: ScorerTelemetry,
  topics: OutputOptions['topics'],
): Promise<BatchTracer | null> {
  const { endpoint, sampleRatio } = config.tracing
  if (endpoint === null) return null
  return openBatchTracer({
    endpoint,
    sampleRatio,
    serviceName: 'sluice-scorer',
    groupId: config.groupId,
    topics,
    log,
    onDropped: (count) => {
      telemetry.spansDropped(count)
    },
  })
}

function verifyOptions(
  { alignment, verifyTimeoutMs }: ScorerConfig,
  { verifier }: Serving['model'],
): DecideOptions['verify'] {
  if (verifier === null) return null
  return { verifier, timeoutMs: alignment === 'aligned' ? Infinity : verifyTimeoutMs }
}

function decideOptions(
  config: ScorerConfig,
  { model, policy }: Serving,
  streamId: string,
  topic: string,
  partition: Pick<
    DecideOptions,
    'partition' | 'partitionCount' | 'breakerResets' | 'keepsSequences'
  >,
): DecideOptions {
  const { digest, version, baseline } = model.info
  const { alignment } = config
  const { digest: policyDigest, version: policyVersion, ...ruled } = policy
  return {
    ...ruled,
    streamId,
    topic,
    ...partition,
    alignment,
    modelVersion: version,
    modelDigest: digest,
    policyDigest,
    policyVersion,
    baseline,
    verify: verifyOptions(config, model),
    score: (rows, rowCount) => model.score(rows, rowCount),
  }
}

function topicsOf(prefix: string): OutputOptions['topics'] {
  return {
    transactions: topicName(prefix, 'transactions'),
    labels: topicName(prefix, 'labels'),
    decisions: topicName(prefix, 'decisions'),
    alerts: topicName(prefix, 'alerts'),
    leases: topicName(prefix, 'leases'),
    deadLetters: topicName(prefix, 'dead-letters'),
  }
}

/**
 * Another cluster or another topic is another stream, whose state must not be mixed in and whose alert ids must differ; so is
 * a topic that was created again under the same name.
 */
async function streamIdOf(
  config: ScorerConfig,
  admin: Admin,
  transactionsTopic: string,
): Promise<string> {
  const { clusterId } = await admin.describeCluster()
  const topicId = await readTopicId(config, transactionsTopic)
  return createHash('sha256')
    .update(`${clusterId}\n${transactionsTopic}\n${topicId}`)
    .digest('hex')
    .slice(0, 12)
}
