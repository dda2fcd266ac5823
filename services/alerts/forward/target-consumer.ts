// The consumer group of one target, with its own position in the alerts topic and its own pace. The kafkajs handler
// only fills windows and pauses or resumes partitions. Nothing waits inside it, so the membership survives however slow
// the target is.

import type { Admin, Consumer, Kafka } from 'kafkajs'
import { coordinatorRefusal } from '../../platform/kafka/coordinator-refusal.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { readCommittedOffsets, readLogEnds } from '../../platform/kafka/log-ends.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ForwardTelemetry } from '../../platform/metrics/alerts-telemetry.ts'
import type { TargetDeliveries } from './target-deliveries.ts'
import type { Target } from './targets-file.ts'

/** In-flight messages of a partition at which fetching pauses, and below which it resumes. */
const IN_HAND_MAX = 256
const IN_HAND_LOW = 128
const FETCH_BYTES_MAX = 262_144
const FETCH_WAIT_MS = 100
const SESSION_MS = 10_000
const COMMIT_INTERVAL_MS = 250
/** Time for open requests after a rebalance or at the stop. */
const GRACE_MS_MAX = 5_000
const PARTITIONS_CONCURRENT = 16

export interface TargetConsumerOptions {
  readonly connection: KafkaConnection
  readonly kafka: Kafka
  readonly admin: Admin
  readonly topic: string
  readonly groupId: string
  readonly target: Target
  readonly deliveries: TargetDeliveries
  readonly clock: { nowMs(): number }
  readonly log: Logger
  readonly telemetry: ForwardTelemetry
  readonly onFailure: (error: unknown) => void
}

export class TargetConsumer implements Closable {
  readonly #options: TargetConsumerOptions
  readonly #consumer: Consumer
  readonly #committed = new Map<number, number>()
  readonly #paused = new Set<number>()
  #isConsuming = false
  #isClosing = false
  /** Counts joins of the group: work of an earlier join must not change partitions that now belong to others. */
  #joins = 0
  #assigning: Promise<void> = Promise.resolve()
  #committing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  /** Resolves once the group has assigned the first partitions, possibly none. */
  readonly joined: Promise<void>
  #tellJoined: () => void = () => undefined

  constructor(options: TargetConsumerOptions) {
    this.#options = options
    this.joined = new Promise((resolve) => {
      this.#tellJoined = resolve
    })
    this.#consumer = options.kafka.consumer({
      groupId: options.groupId,
      readUncommitted: false,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: SESSION_MS / 5,
      rebalanceTimeout: SESSION_MS + GRACE_MS_MAX,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: FETCH_BYTES_MAX,
      allowAutoTopicCreation: false,
    })
  }

  /** True once the group has assigned partitions, possibly none. */
  get isConsuming(): boolean {
    return this.#isConsuming
  }

  /** Joins the group; alerts are sent from then on. @throws SluiceError as `kafkaUnreadable` makes it. */
  async start(): Promise<void> {
    const consumer = this.#consumer
    const { topic, deliveries } = this.#options
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      this.#isConsuming = false
      if (!payload.restart) void this.#fail(payload.error)
    })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const partitions = payload.memberAssignment[topic] ?? []
      // Nothing is fetched before each partition's position is known.
      if (partitions.length > 0) consumer.pause([{ topic, partitions }])
      this.#joins += 1
      this.#isConsuming = false
      const join = this.#joins
      this.#assigning = this.#assigning
        .then(() => this.#assign(partitions, join))
        .catch((error: unknown) => this.#fail(error))
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: PARTITIONS_CONCURRENT,
      eachBatch: async (payload) => {
        const { partition, messages } = payload.batch
        if (!payload.isStale()) {
          deliveries.take(partition, messages)
          this.#steer(partition)
        }
        await payload.heartbeat()
      },
    })
    // Closed while joining, as after a refusal: nothing would stop a timer that starts now.
    if (this.#isClosing) {
      await consumer.disconnect()
      return
    }
    this.#timer = setInterval(() => {
      this.observe()
      void this.#commit()
    }, COMMIT_INTERVAL_MS)
  }

  /** A message of the partition is finished. */
  partitionMoved(partition: number): void {
    this.#steer(partition)
  }

  /** Reports the status of the target to the metrics. */
  observe(): void {
    const { target, deliveries, telemetry, clock } = this.#options
    const decidedAtMs = deliveries.oldestDecidedAtMs
    telemetry.stood(target.name, {
      waiting: deliveries.waiting,
      oldestMs: decidedAtMs === null ? 0 : clock.nowMs() - decidedAtMs,
      isCircuitOpen: deliveries.isCircuitOpen,
      isConsuming: this.#isConsuming,
    })
  }

  /** Waits for open requests, commits finished messages, and leaves the group. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#assigning
    await this.#options.deliveries.end(this.#graceMs)
    await this.#commit()
    await this.#consumer.disconnect()
    this.#isConsuming = false
    this.observe()
  }

  get #graceMs(): number {
    return Math.min(GRACE_MS_MAX, this.#options.target.timeoutMs)
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#isClosing) return
    const { kafka, connection, onFailure } = this.#options
    onFailure(coordinatorRefusal(kafka, error) ?? (await kafkaUnreadable(connection, error)))
  }

  /** Ends all partitions and starts the assigned ones, also those assigned before: their fetches may be stale. */
  async #assign(partitions: readonly number[], join: number): Promise<void> {
    const { topic, deliveries, log, target } = this.#options
    const isOver = (): boolean => this.#isClosing || join !== this.#joins
    await deliveries.end(this.#graceMs)
    const own = deliveries.positions
    deliveries.forget()
    this.#committed.clear()
    this.#paused.clear()
    if (isOver()) return
    const places = await this.#placesOf(partitions, own)
    if (isOver()) return
    deliveries.begin(places)
    for (const [partition, offset] of places) {
      this.#consumer.seek({ topic, partition, offset: String(offset) })
      this.#consumer.resume([{ topic, partitions: [partition] }])
    }
    this.#isConsuming = true
    this.observe()
    log.info({ target: target.name, partitions }, 'Partitions assigned.')
    // A new target stores its position at once, so that it loses nothing while no forwarder runs.
    await this.#commit()
    this.#tellJoined()
  }

  /** Own progress may be ahead of the group's offsets; progress of other members is only in the group. */
  async #placesOf(
    partitions: readonly number[],
    own: ReadonlyMap<number, number>,
  ): Promise<ReadonlyMap<number, number>> {
    const { admin, topic, groupId, target, log } = this.#options
    const committed = await readCommittedOffsets(admin, groupId, topic)
    const ends = await readLogEnds(admin, topic)
    const places = new Map<number, number>()
    for (const partition of partitions) {
      const { low, high } = ends.get(partition) ?? { low: 0, high: 0 }
      const known = Math.max(committed.get(partition) ?? -1, own.get(partition) ?? -1)
      const first = target.startAt === 'beginning' ? low : high
      if (known >= 0 && known < low) {
        const fields = { target: target.name, partition, gone: low - known }
        log.error(fields, 'Alerts have left the topic before they were delivered.')
      }
      places.set(partition, known < 0 ? first : Math.max(known, low))
      const at = committed.get(partition)
      if (at !== undefined) this.#committed.set(partition, at)
    }
    return places
  }

  /** Commits finished messages. A failure is retried later: until then only repeats are possible. */
  #commit(): Promise<void> {
    this.#committing = this.#committing.then(async () => {
      const { topic, deliveries, log, target } = this.#options
      if (!this.#isConsuming) return
      const moved = [...deliveries.positions].filter(
        ([partition, offset]) => offset !== this.#committed.get(partition),
      )
      if (moved.length === 0) return
      try {
        await this.#consumer.commitOffsets(
          moved.map(([partition, offset]) => ({ topic, partition, offset: String(offset) })),
        )
        for (const [partition, offset] of moved) this.#committed.set(partition, offset)
      } catch (error) {
        log.info({ target: target.name, err: error }, 'Offsets could not be committed yet.')
      }
    })
    return this.#committing
  }

  #steer(partition: number): void {
    const { topic, deliveries } = this.#options
    const size = deliveries.sizeOf(partition)
    const where = [{ topic, partitions: [partition] }]
    if (size >= IN_HAND_MAX && !this.#paused.has(partition)) {
      this.#paused.add(partition)
      this.#consumer.pause(where)
    } else if (size <= IN_HAND_LOW && this.#paused.delete(partition)) {
      this.#consumer.resume(where)
    }
  }
}
