// The consumer service: opens what it needs, in order, and closes it in reverse.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { DEFAULT_RATES } from '../core/currency.ts'
import { isFallback, refusedBackends } from '../core/scoring/fallback.ts'
import type { ScoringModel } from '../core/scoring/scoring-model.ts'
import { createCodecs } from '../core/wire/codecs.ts'
import { registerCompressionCodecs } from '../platform/kafka/compression.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway } from '../platform/kafka/kafka-failure.ts'
import { readPartitionCount, topicName } from '../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import {
  createScorerTelemetry,
  type ScorerTelemetry,
} from '../platform/metrics/scorer-telemetry.ts'
import type { LaneStore } from '../platform/redis/lane-store-contract.ts'
import { openLaneStore, SILENCE_MS_MAX } from '../platform/redis/lane-store.ts'
import { openSchemaRegistry } from '../platform/registry/open-registry.ts'
import { repositoryRoot } from '../platform/repository-root.ts'
import { openScoringModel } from '../platform/tensorflow/scoring-model.ts'
import type { BatchTracer } from '../platform/tracing/batch-tracer.ts'
import { openBatchTracer } from '../platform/tracing/open-tracing.ts'
import type { OutputOptions } from './batch-output.ts'
import type { ScorerConfig } from './config.ts'
import { LaneGroup } from './lane-group.ts'
import { observeRedis } from './redis-observer.ts'
import type { DecideOptions } from './decide-options.ts'

const KAFKA_RETRY = { initialRetryTime: 50, maxRetryTime: 2_000, retries: 10 } as const
/** A scorer needs no right to see the others. */
const TOPICS_USED = [
  'transactions',
  'labels',
  'decisions',
  'alerts',
  'leases',
  'dead-letters',
] as const

export interface RunningScorer {
  readonly metricsPort: number
  /** Resolves when the consumer has crashed for good, with the error. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

/** Starts the scorer; resolves once it has joined the group. Model problems end it before Kafka is asked. */
export async function openScorer(config: ScorerConfig, log: Logger): Promise<RunningScorer> {
  const opened: Closable[] = []
  try {
    return await open(config, log, opened)
  } catch (error) {
    await closeAll(opened).catch(() => undefined)
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  }
}

async function open(config: ScorerConfig, log: Logger, opened: Closable[]): Promise<RunningScorer> {
  const telemetry = createScorerTelemetry()
  const model = await openModel(config, log, telemetry, opened)
  registerCompressionCodecs()
  const codecs = createCodecs(
    await openSchemaRegistry({
      url: config.schemaRegistryUrl,
      topicPrefix: config.topicPrefix,
      register: false,
    }).load(),
  )
  const kafka = openKafka(config, { clientId: 'sluice-scorer', retry: KAFKA_RETRY }, log)
  const admin = kafka.admin()
  await admin.connect()
  opened.push({ close: () => admin.disconnect() })
  const partitionCount = await readPartitionCount(admin, config.topicPrefix, TOPICS_USED)
  const topics = topicsOf(config.topicPrefix)
  const streamId = config.streamId ?? (await streamIdOf(admin, topics.transactions))
  const store = await openStore(config, log, streamId, partitionCount, telemetry)
  opened.push(store, observeRedis(store, telemetry))
  telemetry.policyInForce(policyOf(config, model).digest, config.mode)
  const tracer = await openTracer(config, log, telemetry, topics)
  if (tracer !== null) opened.push(tracer)

  const group = new LaneGroup({
    config,
    log,
    telemetry,
    tracer,
    kafka,
    admin,
    store,
    inbox: (partition) => ({
      partition,
      partitionCount,
      transactionsTopic: topics.transactions,
      labelsTopic: topics.labels,
      codecs,
      rates: DEFAULT_RATES,
      batchSizeMax: config.batchSizeMax,
      eventAheadMsMax: config.eventAheadMsMax,
      hmacKey: config.deadLetterHmacKey,
    }),
    output: (partition) => ({
      codecs,
      backend: model.info.backend,
      topics,
      decide: decideOptions(config, model, streamId, topics.transactions, partition),
    }),
  })
  const server = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => ({
      isReady: group.hasJoined,
      details: {
        backend: model.info.backend,
        model: model.info.version,
        lanes: group.partitions,
        redis: store.isUp ? 'up' : 'down',
        degradedLanes: group.degradedPartitions,
        ...fallbackDetails(config, model),
      },
    }),
  })
  opened.push(server)
  // Also a group that does not come as far as joining has connections to close.
  opened.push(group)
  await group.start(topics.transactions, topics.labels)
  return { metricsPort: server.port, failed: group.failed, close: () => closeAll(opened) }
}

async function openModel(
  config: ScorerConfig,
  log: Logger,
  telemetry: ScorerTelemetry,
  opened: Closable[],
): Promise<ScoringModel> {
  const model = await openScoringModel({
    folder: config.modelFolder ?? join(repositoryRoot(), 'models/simulator'),
    backend: config.backend,
    ratesDigest: DEFAULT_RATES.digest,
    thread: config.scoringThread,
  })
  opened.push({
    close: () => {
      model.close()
      return Promise.resolve()
    },
  })
  telemetry.backendChosen(model.info.backend, model.info.version)
  log.info({ ...model.info, usual: undefined }, 'Model loaded.')
  const { isOnFallback, refused } = fallbackDetails(config, model)
  telemetry.fallbackJudged(isOnFallback, refused)
  if (isOnFallback) {
    log.warn(
      { backend: model.info.backend, expected: config.backendExpected, refused },
      'Scoring runs on a fallback backend.',
    )
  }
  return model
}

/** P7: a fallback is in the log, in the metrics and beside readiness. */
function fallbackDetails({ backendExpected }: ScorerConfig, { info }: ScoringModel) {
  return {
    backendExpected,
    isOnFallback: isFallback(backendExpected, info),
    refused: refusedBackends(info.trials),
  }
}

function openStore(
  config: ScorerConfig,
  log: Logger,
  streamId: string,
  partitionCount: number,
  telemetry: ScorerTelemetry,
): Promise<LaneStore> {
  return openLaneStore({
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
    valueLayout: config.stateLayout,
    cachedEventsMax: config.stateCacheEventsMax,
    // A live lane decides without Redis; an aligned replay would only wait.
    mayBeAway: config.alignment === 'live',
    isFenceDisabled: config.unsafe === 'no-fence',
    isLossCheckDisabled: config.unsafe === 'no-loss-check',
  })
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

function decideOptions(
  config: ScorerConfig,
  model: ScoringModel,
  streamId: string,
  topic: string,
  partition: number,
): DecideOptions {
  const { digest, version, usual } = model.info
  const { mode, alignment, unscoredOutcome, leaseMs } = config
  const policy = policyOf(config, model)
  const { thresholds } = policy
  return {
    streamId,
    topic,
    partition,
    mode,
    alignment,
    thresholds,
    unscoredOutcome,
    leaseMs,
    modelVersion: version,
    modelDigest: digest,
    policyDigest: policy.digest,
    usual,
    score: (rows, rowCount) => model.score(rows, rowCount),
  }
}

/** What decides beside the model; its digest names it in decisions and metrics. */
function policyOf({ mode, leaseMs, unscoredOutcome }: ScorerConfig, { info }: ScoringModel) {
  const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
  const policy = { mode, leaseMs, unscoredOutcome, thresholds }
  const digest = createHash('sha256').update(JSON.stringify(policy)).digest('hex')
  return { thresholds, digest }
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

/** Another cluster or another topic is another stream, whose state must not be mixed in. */
async function streamIdOf(admin: Admin, transactionsTopic: string): Promise<string> {
  const { clusterId } = await admin.describeCluster()
  return createHash('sha256')
    .update(`${clusterId}\n${transactionsTopic}`)
    .digest('hex')
    .slice(0, 12)
}
