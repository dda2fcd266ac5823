// Reads what the queue is made of: once up to now, or on and on.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { systemClock } from '../../platform/clock.ts'
import { follow, placeKey, readToEnd } from '../../platform/kafka/committed-reader.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway, kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { readLogEnds, type LogEnds } from '../../platform/kafka/log-ends.ts'
import { planSince, ResumeProgress, type ResumePlan } from '../../platform/kafka/resume-plan.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { QueueConfig } from './config.ts'
import { QUEUE_TOPICS, type QueueState } from './queue-state.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

/** Name of the groups that read for the queue; each run has one of its own, deleted afterwards. */
const READER_NAME = 'sluice-queue'

/** How often a follower is asked whether it has come to where the topic ended. */
const CATCH_UP_POLL_MS = 10
const CATCH_UP_MS_MAX = 10_000

/** How far the dispositions of a stream have been taken into a state. */
export class DispositionsTaken {
  readonly #config: QueueConfig
  readonly #topic: string
  readonly #next = new Map<string, number>()

  constructor(config: QueueConfig) {
    this.#config = config
    this.#topic = topicName(config.topicPrefix, 'dispositions')
  }

  startAt(places: ReadonlyMap<string, number>): void {
    for (const [place, next] of places)
      if (place.startsWith(`${this.#topic}/`)) this.#next.set(place, next)
  }

  advance(topic: string, partition: number, next: number): void {
    if (topic === this.#topic) this.#next.set(placeKey(topic, partition), next)
  }

  /** Resolves once all that is committed now has been taken by whoever follows. @throws SluiceError as `readQueue`. */
  async untilNow(): Promise<void> {
    const ends = await this.#ends()
    const endMs = performance.now() + CATCH_UP_MS_MAX
    while (!this.#hasTaken(ends)) {
      if (performance.now() > endMs)
        throw await kafkaUnreadable(this.#config, `${this.#topic} was not read to its end`)
      await sleepMs(CATCH_UP_POLL_MS)
    }
  }

  /** Reads on into the state where there is more. @throws SluiceError as `readQueue`. */
  async readOn(state: QueueState, signal: AbortSignal): Promise<void> {
    if (this.#hasTaken(await this.#ends())) return
    const { brokers, security } = this.#config
    const onAdvance = this.advance.bind(this)
    await readToEnd(
      {
        ...{ brokers, security, name: READER_NAME, topics: [this.#topic] },
        ...{ startAt: this.#next, onAdvance },
      },
      (batch) => {
        state.take(batch)
      },
      signal,
    )
  }

  #hasTaken(ends: ReadonlyMap<number, LogEnds>): boolean {
    return [...ends].every(([partition, { high }]) => {
      return (this.#next.get(placeKey(this.#topic, partition)) ?? 0) >= high
    })
  }

  #ends(): Promise<ReadonlyMap<number, LogEnds>> {
    return asked(this.#config, (admin) => readLogEnds(admin, this.#topic))
  }
}

/** Reads what is there now. @throws SluiceError as `readToEnd`, or the signal's reason. */
export async function readQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
): Promise<DispositionsTaken> {
  const { startAt } = await plan(config)
  const taken = new DispositionsTaken(config)
  taken.startAt(startAt)
  const onAdvance = taken.advance.bind(taken)
  await readToEnd(
    { ...readerOf(config, startAt), onAdvance },
    (batch) => {
      state.take(batch)
    },
    signal,
  )
  return taken
}

/** Follows the topics until the signal comes. @throws SluiceError as `follow`. */
export async function followQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
  onCaughtUp: () => void,
  taken = new DispositionsTaken(config),
): Promise<void> {
  const planned = await plan(config)
  taken.startAt(planned.startAt)
  const progress = new ResumeProgress(planned)
  let wasCaughtUp = false
  const look = (): void => {
    if (wasCaughtUp || !progress.isCaughtUp) return
    wasCaughtUp = true
    onCaughtUp()
  }
  const onAdvance = (topic: string, partition: number, next: number): void => {
    progress.advance(topic, partition, next)
    taken.advance(topic, partition, next)
    look()
  }
  await follow(
    { ...readerOf(config, planned.startAt), onAdvance },
    (batch) => {
      state.take(batch)
    },
    signal,
    look,
  )
}

function readerOf({ brokers, security, topicPrefix }: QueueConfig, startAt: ResumePlan['startAt']) {
  const topics = QUEUE_TOPICS.map((topic) => topicName(topicPrefix, topic))
  return { brokers, security, name: READER_NAME, topics, startAt }
}

async function plan(config: QueueConfig): Promise<ResumePlan> {
  const { topicPrefix, horizonMs } = config
  return asked(config, async (admin) => {
    await readPartitionCount(admin, topicPrefix, QUEUE_TOPICS)
    const topics = QUEUE_TOPICS.map((topic) => topicName(topicPrefix, topic))
    // What was found is remembered for longer than alerts are, so that it is not said twice.
    const whole = new Set([topicName(topicPrefix, 'dispositions')])
    return planSince(admin, topics, systemClock.nowMs() - horizonMs, whole)
  })
}

async function asked<Answer>(
  config: QueueConfig,
  ask: (admin: Admin) => Promise<Answer>,
): Promise<Answer> {
  const admin = openKafka(config, {
    clientId: READER_NAME,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  }).admin()
  try {
    await admin.connect()
    return await ask(admin)
  } catch (error) {
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
