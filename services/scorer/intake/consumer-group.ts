// Membership of the consumer group: which partitions are ours, and handing them what is fetched. kafkajs only fills
// partitions, and pauses or resumes partitions; nothing waits inside its handler.

import type { Admin, Consumer, Kafka } from 'kafkajs'
import { systemClock } from '../../platform/clock.ts'
import { partitionAssigner } from '../../platform/kafka/partition-assigner.ts'
import { coordinatorRefusal } from '../../platform/kafka/coordinator-refusal.ts'
import { kafkaAway, kafkaRefusal } from '../../platform/kafka/kafka-failure.ts'
import type { openPartitionTransactions } from '../../platform/kafka/partition-transactions.ts'
import { readCommittedOffsets, readLogEnds } from '../../platform/kafka/log-ends.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../../platform/redis/partition-store-contract.ts'
import type { BatchTracer } from '../../platform/tracing/open-tracing.ts'
import type { ScorerConfig } from '../config.ts'
import { LagObserver, type PartitionStatus } from './lag-observer.ts'
import type { HeldOutput } from '../batch/partition-batch.ts'
import type { InboxOptions } from './record-queue.ts'
import { PartitionProcessor } from '../partition-processor.ts'
import { checkLogHolds, readLow, startPartition } from '../recovery/partition-start.ts'
import { PartitionState } from '../recovery/partition-state.ts'
import type { OperatorOverrides } from '../deployments/operator-overrides.ts'

/** Fetches answer at once when there is data; this only bounds how late a resumed partition is asked for. */
const FETCH_WAIT_MS = 50
/** How often the broker is asked where the log ends; an answer must come before the next question. */
const LAG_INTERVAL_MS = 2_000
const PARTITIONS_CONCURRENT = 16

export interface ConsumerGroupOptions {
  readonly config: ScorerConfig
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  readonly tracer: BatchTracer | null
  readonly kafka: Kafka
  readonly admin: Admin
  readonly store: PartitionStore
  readonly openTransactions: typeof openPartitionTransactions
  /** What operators have said. */
  readonly words: OperatorOverrides
  readonly inbox: (partition: number) => InboxOptions
  /** The model of the batch that begins in this partition, and all that goes with it. */
  readonly takeOutput: (partition: number) => HeldOutput
}

/** Starts, feeds and ends the partitions that the group assigns to this process. */
export class ConsumerGroup implements Closable {
  readonly #options: ConsumerGroupOptions
  readonly #partitions = new Map<number, PartitionProcessor>()
  /** Per partition, up to where everything was fetched, records that carry no message included. */
  readonly #fetchedTo = new Map<number, number>()
  readonly #lag: LagObserver
  readonly #consumer: Consumer
  readonly failed: Promise<Error>
  #fail: (error: Error) => void = () => undefined
  #hasJoined = false
  #assigning: Promise<void> = Promise.resolve()
  #lagTimer: NodeJS.Timeout | null = null
  #topics = { transactions: '', labels: '' }

  constructor(options: ConsumerGroupOptions) {
    this.#options = options
    const { config } = options
    this.#topics = {
      transactions: topicName(config.topicPrefix, 'transactions'),
      labels: topicName(config.topicPrefix, 'labels'),
    }
    this.#consumer = options.kafka.consumer({
      groupId: config.groupId,
      partitionAssigners: [partitionAssigner([this.#topics.transactions, this.#topics.labels])],
      sessionTimeout: config.sessionTimeoutMs,
      heartbeatInterval: Math.floor(config.sessionTimeoutMs / 5),
      rebalanceTimeout: Math.max(config.sessionTimeoutMs, 10_000),
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      // Committed data only, as a transactional producer of the bank's would expect.
      readUncommitted: false,
    })
    this.#lag = new LagObserver({
      clock: systemClock,
      telemetry: options.telemetry,
      partitions: () => this.#standings(),
      readLogEnds: () => readLogEnds(options.admin, this.#topics.transactions),
      readCommitted: () =>
        readCommittedOffsets(options.admin, config.groupId, this.#topics.transactions),
    })
    options.words.listen(() => {
      for (const processor of this.#partitions.values()) processor.wake()
    })
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
      this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) {
          const { error } = payload
          const refusal = coordinatorRefusal(options.kafka, error) ?? kafkaRefusal(error)
          resolve(refusal ?? kafkaAway(config, error) ?? error)
        }
      })
    })
  }

  get hasJoined(): boolean {
    return this.#hasJoined
  }

  get partitions(): readonly number[] {
    return [...this.#partitions.keys()].sort((a, b) => a - b)
  }

  /** Partitions that decide without their state now. */
  get degradedPartitions(): readonly number[] {
    return this.partitions.filter((partition) => this.#partitions.get(partition)?.isDegraded)
  }

  async start(transactionsTopic: string, labelsTopic: string): Promise<void> {
    const consumer = this.#consumer
    await consumer.connect()
    await consumer.subscribe({ topics: [transactionsTopic, labelsTopic], fromBeginning: true })
    const joined = new Promise<void>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        const partitions = payload.memberAssignment[transactionsTopic] ?? []
        // Nothing is fetched before a partition has read back and checked its offsets: asked for an offset that is out of
        // range, kafkajs would move the group's offset by itself, and messages would be skipped silently.
        consumer.pause([transactionsTopic, labelsTopic].map((topic) => ({ topic, partitions })))
        this.#assigning = this.#assigning.then(() => this.#assign(partitions))
        this.#hasJoined = true
        resolve()
      })
    })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: PARTITIONS_CONCURRENT,
      eachBatch: async (payload) => {
        const { batch } = payload
        const topic = batch.topic === transactionsTopic ? 'transactions' : 'labels'
        if (!payload.isStale()) this.#partitions.get(batch.partition)?.push(topic, batch.messages)
        await payload.heartbeat()
      },
    })
    // Told also of batches that hold nothing but control records, which never come to eachBatch.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.topic !== transactionsTopic) return
      this.#fetchedTo.set(payload.partition, Number(payload.lastOffset) + 1)
    })
    this.#lagTimer = setInterval(() => {
      void this.#lag.observe()
      this.#observeState()
    }, LAG_INTERVAL_MS)
    await Promise.race([joined, this.failed.then((error) => Promise.reject(error))])
  }

  async close(): Promise<void> {
    if (this.#lagTimer !== null) clearInterval(this.#lagTimer)
    await this.#consumer.stop()
    await this.#assigning
    await this.#assign([])
    await this.#consumer.disconnect()
  }

  /** Ends all partitions and starts those assigned, also ones held before: their fetches may be stale. */
  async #assign(partitions: readonly number[]): Promise<void> {
    const { log, telemetry } = this.#options
    const ended = [...this.#partitions]
    this.#partitions.clear()
    await Promise.all(ended.map(([, processor]) => processor.stop()))
    for (const [partition] of ended) {
      telemetry.partitionReleased(partition)
      telemetry.stateUnknown(partition)
      telemetry.blocksUnknown(partition)
    }
    this.#lag.keepOnly(partitions)
    for (const partition of partitions)
      this.#partitions.set(partition, this.#openPartition(partition))
    telemetry.rebalanced(partitions.length)
    log.info({ partitions }, 'Partitions assigned.')
  }

  #openPartition(partition: number): PartitionProcessor {
    const { config, log, telemetry, tracer, kafka, admin, store } = this.#options
    const inbox = this.#options.inbox(partition)
    const { groupId } = config
    const topicOf = (topic: 'transactions' | 'labels') => [
      { topic: this.#topics[topic], partitions: [partition] },
    ]
    const openTransactions = () =>
      this.#options.openTransactions({
        kafka,
        groupId,
        transactionalId: `${config.topicPrefix}sluice-scorer-${groupId}-${partition}`,
      })
    const state = (epochs: { held: number | null }) => ({
      ...{ clock: systemClock, log, telemetry, kafka, groupId, store, inbox, epochs },
      decisionsTopic: topicName(config.topicPrefix, 'decisions'),
      leasesTopic: topicName(config.topicPrefix, 'leases'),
      alignment: config.alignment,
      lateValuesMax: config.lateValuesMax,
      answerMsMax: config.stateTimeoutMs,
      readLow: () => readLow(admin, inbox),
    })
    return new PartitionProcessor({
      clock: systemClock,
      log,
      telemetry,
      tracer,
      readProgress: () => store.readProgress(),
      inbox,
      alignment: config.alignment,
      takeOutput: () => this.#options.takeOutput(partition),
      batchIntervalMs: config.batchIntervalMs,
      leasesMax: config.leasesMax,
      leaseGraceMs: config.leaseGraceMs,
      words: this.#options.words,
      start: (epochs, corruptGeneration) =>
        startPartition({ ...state(epochs), admin, openTransactions, corruptGeneration }),
      openState: (start, epochs, onNews) => new PartitionState(state(epochs), start, onNews),
      checkLogHolds: (topic, offset) =>
        checkLogHolds(admin, this.#topics[topic], partition, offset),
      seek: (nextOffset, labelNextOffset) => {
        const { transactions, labels } = this.#topics
        this.#fetchedTo.delete(partition)
        this.#consumer.seek({ topic: transactions, partition, offset: String(nextOffset) })
        this.#consumer.seek({ topic: labels, partition, offset: String(labelNextOffset) })
      },
      onRefused: (error) => {
        this.#fail(error)
      },
      pause: (topic) => {
        this.#consumer.pause(topicOf(topic))
      },
      resume: (topic) => {
        this.#consumer.resume(topicOf(topic))
      },
    })
  }

  #observeState(): void {
    for (const [partition, { degradedMs }] of this.#partitions) {
      const degradedS = degradedMs === null ? null : degradedMs / 1_000
      this.#options.telemetry.stateObserved(partition, degradedS)
    }
  }

  /** An idle partition has decided all that was fetched, be it messages or records that carry none. */
  #standings(): ReadonlyMap<number, PartitionStatus> {
    const standings = new Map<number, PartitionStatus>()
    for (const [partition, processor] of this.#partitions) {
      const { standing } = processor
      const { nextOffset, isIdle } = standing
      const fetchedTo = this.#fetchedTo.get(partition) ?? -1
      const isBehind = isIdle && nextOffset !== null && nextOffset < fetchedTo
      standings.set(partition, isBehind ? { ...standing, nextOffset: fetchedTo } : standing)
    }
    return standings
  }
}
