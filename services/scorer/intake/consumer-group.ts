// Membership of the consumer group: tracks the assigned partitions and passes fetched records to them. The kafkajs
// handler only fills queues and pauses or resumes partitions; nothing waits inside it.

import assert from 'node:assert'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { systemClock } from '../../platform/clock.ts'
import type {
  FetchedRecords,
  LogClient,
  LogClientOptions,
} from '../../platform/kafka/log-client.ts'
import { readCommittedOffsets, readLogEnds } from '../../platform/kafka/log-ends.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../../platform/redis/partition-store-contract.ts'
import type { BatchTracer } from '../../platform/tracing/open-tracing.ts'
import type { ScorerConfig } from '../config.ts'
import { HeldBackInput } from './held-back-input.ts'
import { LagObserver, type PartitionStatus } from './lag-observer.ts'
import type { HeldOutput } from '../batch/partition-batch.ts'
import type { InboxOptions } from './record-queue.ts'
import { PartitionProcessor } from '../partition-processor.ts'
import { readLow, startPartition } from '../recovery/partition-start.ts'
import { PartitionState } from '../recovery/partition-state.ts'
import type { OperatorOverrides } from '../deployments/operator-overrides.ts'

/** Interval of the requests for the end of the log; an answer must arrive before the next request. */
const LAG_INTERVAL_MS = 2_000
/** Longest wait of a hand-over for batches that are being decided. */
const HANDOVER_MS_MAX = 2_000

export interface ConsumerGroupOptions {
  readonly config: ScorerConfig
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  readonly tracer: BatchTracer | null
  readonly admin: Admin
  readonly store: PartitionStore
  readonly openLog: (options: LogClientOptions) => LogClient | Promise<LogClient>
  /** Overrides of operators. */
  readonly words: OperatorOverrides
  readonly inbox: (partition: number) => InboxOptions
  /** The model and options for the batch that begins in this partition. */
  readonly takeOutput: (partition: number) => HeldOutput
}

/** Starts, feeds and stops the partitions that the group assigns to this process. */
export class ConsumerGroup implements Closable {
  readonly #options: ConsumerGroupOptions
  readonly #partitions = new Map<number, PartitionProcessor>()
  /** Partitions that were stopped and have not ended yet. */
  readonly #ending = new Map<number, Promise<void>>()
  /** The assignment that holds; a new set with each. */
  #assigned: ReadonlySet<number> = new Set()
  /** Per partition, the offset up to which everything was fetched, control records included. */
  readonly #fetchedTo = new Map<number, number>()
  readonly #lag: LagObserver
  readonly #heldBack: HeldBackInput
  readonly #topics: { readonly transactions: string; readonly labels: string }
  readonly failed: Promise<Error>
  #fail: (error: Error) => void = () => undefined
  #client: LogClient | null = null
  #hasJoined = false
  #isClosing = false
  #lagTimer: NodeJS.Timeout | null = null

  constructor(options: ConsumerGroupOptions) {
    this.#options = options
    const { config } = options
    this.#topics = {
      transactions: topicName(config.topicPrefix, 'transactions'),
      labels: topicName(config.topicPrefix, 'labels'),
    }
    this.#lag = new LagObserver({
      clock: systemClock,
      telemetry: options.telemetry,
      partitions: () => this.#standings(),
      readLogEnds: () => readLogEnds(options.admin, this.#topics.transactions),
      readCommitted: () =>
        readCommittedOffsets(options.admin, config.groupId, this.#topics.transactions),
    })
    const { log, telemetry } = options
    this.#heldBack = new HeldBackInput({ clock: systemClock, log, telemetry })
    options.words.listen(() => {
      for (const processor of this.#partitions.values()) processor.wake()
    })
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
  }

  get hasJoined(): boolean {
    return this.#hasJoined
  }

  get partitions(): readonly number[] {
    return [...this.#partitions.keys()].sort((a, b) => a - b)
  }

  /** Partitions that currently decide without their state. */
  get degradedPartitions(): readonly number[] {
    return this.partitions.filter((partition) => this.#partitions.get(partition)?.isDegraded)
  }

  /** Joins the group; resolves once its first partitions have started. */
  async start(): Promise<void> {
    const { config, log } = this.#options
    this.#client = await this.#options.openLog({
      connection: config,
      log,
      clientId: 'sluice-scorer',
      groupId: config.groupId,
      topics: [this.#topics.transactions, this.#topics.labels],
      sessionTimeoutMs: config.sessionTimeoutMs,
      instanceId: config.groupInstanceId,
      transactionalIdPrefix: `${config.topicPrefix}sluice-scorer-${config.groupId}-`,
      onRecords: (fetched) => {
        this.#accept(fetched)
      },
      onFault: (topic, partition, _fault, error) => {
        log.error({ topic, partition, error }, 'A partition cannot be read further.')
        this.#partitions.get(partition)?.fail(error)
      },
    })
    const { group } = this.#client
    void group.failed.then(this.#fail)
    this.#lagTimer = setInterval(() => {
      void this.#lag.observe()
      this.#heldBack.observe()
      this.#observeState()
    }, LAG_INTERVAL_MS)
    await group.join({
      onAssigned: (partitions) => {
        this.#assign(partitions)
      },
      onRevoked: () => this.#revoke(),
    })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#lagTimer !== null) clearInterval(this.#lagTimer)
    await this.#stopAll()
    await this.#client?.group.leave()
    await this.#client?.close()
  }

  #accept(fetched: FetchedRecords): void {
    const { topic, partition, records, nextOffset } = fetched
    this.#heldBack.saw(fetched)
    const isTransactions = topic === this.#topics.transactions
    if (isTransactions) this.#fetchedTo.set(partition, nextOffset)
    if (records.length === 0) return
    this.#partitions.get(partition)?.push(isTransactions ? 'transactions' : 'labels', records)
  }

  /**
   * Starts the assigned partitions; those of the last assignment were stopped. One that has not ended here yet delays its own
   * start only.
   */
  #assign(partitions: readonly number[]): void {
    const { log, telemetry } = this.#options
    if (this.#isClosing) return
    this.#lag.keepOnly(partitions)
    const assigned = new Set(partitions)
    this.#assigned = assigned
    for (const partition of partitions) {
      const ending = this.#ending.get(partition)
      if (ending === undefined) {
        this.#partitions.set(partition, this.#openPartition(partition))
        continue
      }
      telemetry.partitionWorking(partition, false)
      void ending.then(() => {
        if (this.#assigned !== assigned) return
        this.#partitions.set(partition, this.#openPartition(partition))
      })
    }
    // This holds without partitions too: a spare is ready to take over.
    this.#hasJoined = true
    telemetry.rebalanced(partitions.length)
    log.info({ partitions }, 'Partitions assigned.')
  }

  async #revoke(): Promise<void> {
    await this.#stopAll()
    this.#options.telemetry.revoked()
  }

  /** Stops all partitions. A slow one is not waited for: its commits are refused once the group has another generation. */
  async #stopAll(): Promise<void> {
    this.#assigned = new Set()
    for (const [partition, processor] of this.#partitions) {
      this.#ending.set(partition, this.#stop(partition, processor))
    }
    this.#partitions.clear()
    const isInTime = await Promise.race([
      Promise.all(this.#ending.values()).then(() => true),
      sleepMs(HANDOVER_MS_MAX, false, { ref: false }),
    ])
    if (isInTime) return
    const partitions = [...this.#ending.keys()]
    this.#options.log.warn(
      { partitions, limitMs: HANDOVER_MS_MAX },
      'Partitions have not finished their batch in time; the hand-over continues without them.',
    )
  }

  async #stop(partition: number, processor: PartitionProcessor): Promise<void> {
    const { telemetry } = this.#options
    try {
      await processor.stop()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
    for (const topic of Object.values(this.#topics)) this.#client?.reader.release(topic, partition)
    this.#heldBack.forget(partition)
    telemetry.partitionReleased(partition)
    telemetry.stateUnknown(partition)
    telemetry.blocksUnknown(partition)
    this.#ending.delete(partition)
  }

  #openPartition(partition: number): PartitionProcessor {
    const { config, log, telemetry, tracer, admin, store } = this.#options
    const inbox = this.#options.inbox(partition)
    const client = this.#client
    assert(client !== null, 'a partition is opened before the log')
    const { reader, group } = client
    const openWriter = () => client.openWriter(partition)
    const readLast: LogClient['readLast'] = (topic, of) => client.readLast(topic, of)
    const readEnds: LogClient['readEnds'] = (topic, of) => client.readEnds(topic, of)
    const readRange: LogClient['readRange'] = (...range) => client.readRange(...range)
    const state = (epochs: { held: number | null }) => ({
      ...{ clock: systemClock, log, telemetry, admin, readRange, store, inbox, epochs },
      decisionsTopic: topicName(config.topicPrefix, 'decisions'),
      leasesTopic: topicName(config.topicPrefix, 'leases'),
      alignment: config.alignment,
      lateValuesMax: config.lateValuesMax,
      answerMsMax: config.stateTimeoutMs,
      readLow: () => readLow(readEnds, inbox),
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
        startPartition({
          ...state(epochs),
          group,
          openWriter,
          readEnds,
          readLast,
          corruptGeneration,
        }),
      openState: (start, epochs, onNews) => new PartitionState(state(epochs), start, onNews),
      seek: (nextOffset, labelNextOffset) => {
        this.#fetchedTo.delete(partition)
        reader.seek(this.#topics.transactions, partition, nextOffset)
        reader.seek(this.#topics.labels, partition, labelNextOffset)
      },
      onRefused: (error) => {
        this.#fail(error)
      },
      pause: (topic) => {
        reader.pause(this.#topics[topic], partition)
      },
      resume: (topic) => {
        reader.resume(this.#topics[topic], partition)
      },
    })
  }

  #observeState(): void {
    for (const [partition, { degradedMs }] of this.#partitions) {
      const degradedS = degradedMs === null ? null : degradedMs / 1_000
      this.#options.telemetry.stateObserved(partition, degradedS)
    }
  }

  /** An idle partition has decided everything that was fetched, control records included. */
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
