// The bridge: reads a team's own topic, and writes transactions, labels and dead letters together with the offsets of what
// it has read in one Kafka transaction. Several bridges of one mapping share the partitions of the topic.

import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { createCodecs } from '../core/wire/codecs.ts'
import { warnOfBuiltInKey } from '../platform/config/secrets.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway } from '../platform/kafka/kafka-failure.ts'
import type { LogClient, LogClientOptions } from '../platform/kafka/log-client.ts'
import { openNativeLogClient } from '../platform/kafka/native/native-log-client.ts'
import { partitionCountsOf, readPartitionCount, topicName } from '../platform/kafka/topics.ts'
import { closeAll, type Closable } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import {
  type BridgeTelemetry,
  createBridgeTelemetry,
} from '../platform/metrics/bridge-telemetry.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../platform/registry/http-registry.ts'
import { BatchMapper, type BridgeOutput } from './bridge-batch.ts'
import type { BridgeConfig } from './config.ts'
import { openMapping, type OpenedMapping } from './open-mapping.ts'
import { SourcePartition } from './source-partition.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 } as const
const REPORT_MS = 1_000
/** Longest wait of a hand-over for commits that are on their way. */
const HANDOVER_MS_MAX = 5_000

export interface BridgeOptions {
  readonly config: BridgeConfig
  readonly mappingFile: string
  readonly clock: Clock
  readonly log: Logger
  /** Called once the group is joined. */
  readonly onReady?: (metricsPort: number) => void
  /** Replaces the client of the log, for tests that show why its transactions are needed. */
  readonly openLog?: (options: LogClientOptions) => LogClient | Promise<LogClient>
}

/**
 * Runs until the signal is aborted. @throws SluiceError SLUICE_CONFIG_INVALID for the mapping, SLUICE_TOPICS_INVALID,
 * SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED, or the error of a partition that cannot be read any more
 */
export async function runBridge(options: BridgeOptions, signal: AbortSignal): Promise<void> {
  const opened: Closable[] = []
  try {
    await run(options, opened, signal)
  } catch (error) {
    const { config } = options
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  } finally {
    await closeAll(opened.splice(0))
    options.log.info({}, 'The bridge stopped.')
  }
}

async function run(options: BridgeOptions, opened: Closable[], signal: AbortSignal): Promise<void> {
  const { config, clock, log } = options
  const { topicPrefix, schemaRegistryUrl: url } = config
  const telemetry = createBridgeTelemetry(() => clock.nowMs())
  const mapping = openMapping(options.mappingFile, config, (error) => {
    telemetry.registryFailed()
    log.warn({ error }, "The team's schema registry has not answered; the bridge waits.")
  })
  const source = sourceTopic(options.mappingFile, mapping)
  if (config.hasBuiltInHmacKey) warnOfBuiltInKey(log)
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const output = await readOutput(options, source)
  const mapper = new BatchMapper({
    ...mapping,
    codecs: createCodecs(content),
    output,
    mapping: mapping.label,
    deadLetterHmacKey: config.deadLetterHmacKey,
    nowMs: () => clock.nowMs(),
  })
  const bridge = new Bridge(options, mapping, source, mapper, telemetry)
  const metrics = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => bridge.readiness,
  })
  opened.push(metrics, bridge)
  await bridge.start()
  log.info({ metricsPort: metrics.port, source, mapping: mapping.label }, 'The bridge reads.')
  options.onReady?.(metrics.port)
  await bridge.untilStopped(signal)
}

function sourceTopic(file: string, { document }: OpenedMapping): string {
  const { topic } = document.source
  if (topic !== null) return topic
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${file} lacks source.topic: the bridge reads one.`,
  )
}

/** Finds the topics. @throws SluiceError SLUICE_TOPICS_INVALID when one is missing, or is both read and written. */
async function readOutput({ config, log }: BridgeOptions, source: string): Promise<BridgeOutput> {
  const { topicPrefix } = config
  const kafka = openKafka(
    config,
    { clientId: 'sluice-bridge', connectionTimeout: CONNECTION_TIMEOUT_MS, retry: RETRY },
    log,
  )
  const admin = kafka.admin()
  try {
    await admin.connect()
    const partitionCount = await readPartitionCount(admin, topicPrefix, [
      'transactions',
      'labels',
      'dead-letters',
    ])
    const counts = await partitionCountsOf(admin, topicPrefix)
    const output: BridgeOutput = {
      transactions: topicName(topicPrefix, 'transactions'),
      labels: topicName(topicPrefix, 'labels'),
      deadLetters: topicName(topicPrefix, 'dead-letters'),
      partitionCount,
      deadLetterPartitionCount: counts.get('dead-letters') ?? 1,
    }
    if ([output.transactions, output.labels, output.deadLetters].includes(source)) {
      throw new SluiceError(
        'SLUICE_TOPICS_INVALID',
        `The mapping reads ${source}, which the bridge writes; name the team's own topic in source.topic.`,
      )
    }
    const existing = await admin.listTopics()
    if (existing.includes(source)) return output
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `There is no topic ${source}; correct source.topic of the mapping. It must be on the same cluster as ` +
        `${output.transactions}. A cluster with access control hides topics to which this user has no right.`,
    )
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

class Bridge implements Closable {
  readonly #options: BridgeOptions
  readonly #mapping: OpenedMapping
  readonly #source: string
  readonly #mapper: BatchMapper
  readonly #telemetry: BridgeTelemetry
  readonly #partitions = new Map<number, SourcePartition>()
  /** Partitions that were stopped and have not ended yet. */
  readonly #ending = new Map<number, Promise<void>>()
  readonly #failed: Promise<Error>
  #fail: (error: Error) => void = () => undefined
  #assigned: ReadonlySet<number> = new Set()
  #client: LogClient | null = null
  #hasJoined = false
  #isClosing = false
  #timer: NodeJS.Timeout | null = null

  constructor(
    options: BridgeOptions,
    mapping: OpenedMapping,
    source: string,
    mapper: BatchMapper,
    telemetry: BridgeTelemetry,
  ) {
    this.#options = options
    this.#mapping = mapping
    this.#source = source
    this.#mapper = mapper
    this.#telemetry = telemetry
    this.#failed = new Promise((resolve) => {
      this.#fail = resolve
    })
  }

  get readiness() {
    const partitions = [...this.#partitions.entries()]
    return {
      isReady: this.#hasJoined && partitions.every(([, { isOpen }]) => isOpen),
      details: {
        source: this.#source,
        mapping: this.#mapping.label,
        partitions: partitions.map(([partition]) => partition),
      },
    }
  }

  /** Joins the group. */
  async start(): Promise<void> {
    const { config, log, openLog = openNativeLogClient } = this.#options
    const groupId = `${config.topicPrefix}sluice-bridge-${this.#mapping.document.name}`
    const client = await openLog({
      connection: config,
      log,
      clientId: 'sluice-bridge',
      groupId,
      topics: [this.#source],
      sessionTimeoutMs: config.sessionTimeoutMs,
      instanceId: config.groupInstanceId,
      transactionalIdPrefix: `${groupId}-`,
      onRecords: (fetched) => {
        this.#partitions.get(fetched.partition)?.push(fetched)
      },
      onFault: (topic, partition, _fault, error) => {
        log.error({ topic, partition, error }, 'A partition cannot be read further.')
        this.#fail(error)
      },
    })
    this.#client = client
    void client.group.failed.then(this.#fail)
    this.#timer = setInterval(() => {
      this.#report()
    }, REPORT_MS)
    await client.group.join({
      onAssigned: (partitions) => {
        this.#assign(client, partitions)
      },
      onRevoked: () => this.#stopAll(),
    })
  }

  /** @throws the error that ended the membership or a partition for good */
  async untilStopped(signal: AbortSignal): Promise<void> {
    const stopped = new Promise<null>((resolve) => {
      if (signal.aborted) resolve(null)
      signal.addEventListener('abort', () => {
        resolve(null)
      })
    })
    const failure = await Promise.race([this.#failed, stopped])
    if (failure !== null) throw failure
  }

  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#stopAll()
    await this.#client?.group.leave()
    await this.#client?.close()
  }

  #assign(client: LogClient, partitions: readonly number[]): void {
    if (this.#isClosing) return
    const assigned = new Set(partitions)
    this.#assigned = assigned
    for (const partition of partitions) {
      // One that has not ended yet delays its own start only.
      const ending = this.#ending.get(partition) ?? Promise.resolve()
      void ending.then(() => {
        if (this.#assigned === assigned && !this.#isClosing)
          this.#partitions.set(partition, this.#openPartition(client, partition))
      })
    }
    this.#hasJoined = true
    this.#options.log.info({ partitions }, 'Partitions assigned.')
  }

  #openPartition(client: LogClient, partition: number): SourcePartition {
    return new SourcePartition({
      topic: this.#source,
      partition,
      client,
      mapper: this.#mapper,
      start: this.#mapping.document.source.start,
      telemetry: this.#telemetry,
      log: this.#options.log,
      onFault: (error) => {
        this.#fail(error)
      },
    })
  }

  /** A slow one is not waited for: its commits are refused once the group has another generation. */
  async #stopAll(): Promise<void> {
    this.#assigned = new Set()
    for (const [partition, source] of this.#partitions) {
      const ended = source.stop().finally(() => this.#ending.delete(partition))
      this.#ending.set(partition, ended)
    }
    this.#partitions.clear()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, HANDOVER_MS_MAX)
    })
    await Promise.race([Promise.all(this.#ending.values()), late])
    clearTimeout(timer)
  }

  #report(): void {
    let behindMessages = 0
    for (const source of this.#partitions.values()) behindMessages += source.behind
    this.#telemetry.stood({ partitions: this.#partitions.size, behindMessages })
  }
}
