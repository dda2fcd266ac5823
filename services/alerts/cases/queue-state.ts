// State of the queue and of the labels, built from the topics: open alerts and their dispositions. Read once to the end of
// the log, or followed.

import type { Admin } from 'kafkajs'
import { setTimeout as sleepMs } from 'node:timers/promises'
import {
  type Case,
  type CaseOptions,
  Dispositions,
  groupCases,
  prioritised,
} from '../../core/cases.ts'
import type { Clock } from '../../core/clock.ts'
import { OpenAlerts } from '../../core/open-alerts.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  type CommittedMessages,
  follow,
  placeKey,
  readToEnd,
} from '../../platform/kafka/committed-reader.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway, kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { type LogEnds, readLogEnds } from '../../platform/kafka/log-ends.ts'
import { planSince, type ResumePlan, ResumeProgress } from '../../platform/kafka/resume-plan.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { QueueConfig } from './config.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

/** About 100 MB of alerts. */
const ALERTS_MAX = 50_000
const KNOWN_MAX = 200_000
const DISPOSITIONS_MAX = 200_000

/** The queue at one moment. */
export interface Queue {
  readonly atMs: number
  readonly openAlerts: number
  /** Alerts dropped for lack of room. */
  readonly leftOut: number
  /** Most urgent first. */
  readonly cases: readonly Case[]
}

export interface QueueStateOptions {
  readonly topicPrefix: string
  readonly horizonMs: number
  readonly cases: CaseOptions
  readonly clock: Clock
  readonly codecs: Pick<Codecs, 'alert' | 'decodeLabelMessage' | 'disposition'>
}

/** Topics from which the state is built. */
export const QUEUE_TOPICS = ['alerts', 'labels', 'dispositions'] as const

export class QueueState {
  readonly alerts: OpenAlerts
  readonly dispositions = new Dispositions(DISPOSITIONS_MAX)
  readonly #options: QueueStateOptions
  #unreadable = 0

  constructor(options: QueueStateOptions) {
    this.#options = options
    const { horizonMs } = options
    this.alerts = new OpenAlerts({ horizonMs, alertsMax: ALERTS_MAX, knownMax: KNOWN_MAX })
  }

  /** Messages of the topics that this version cannot read. */
  get unreadable(): number {
    return this.#unreadable
  }

  take({ topic, messages }: CommittedMessages): void {
    const { topicPrefix, codecs } = this.#options
    for (const { value } of messages) {
      if (topic === topicName(topicPrefix, 'alerts')) {
        const decoded = codecs.alert.decode(value)
        if (decoded.ok) this.alerts.takeAlert(decoded.value)
        else this.#unreadable += 1
      } else if (topic === topicName(topicPrefix, 'dispositions')) {
        const decoded = codecs.disposition.decode(value)
        if (!decoded.ok) {
          this.#unreadable += 1
          continue
        }
        this.dispositions.take(decoded.value)
        this.alerts.takeDisposition(decoded.value)
      } else {
        const read = codecs.decodeLabelMessage(value)
        if (read.kind === 'label') this.alerts.takeLabel(read.value)
        else if (read.kind === 'reject') this.#unreadable += 1
      }
    }
  }

  /** The cases that are open at this time. */
  queue(): Queue {
    const atMs = this.#options.clock.nowMs()
    const open = this.alerts.open(atMs).map((alert) => prioritised(alert, configuredRates()))
    const cases = groupCases(open, this.#options.cases)
    return { atMs, openAlerts: open.length, leftOut: this.alerts.leftOut, cases }
  }
}

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

/** Name prefix of the groups that read for the queue; each run has its own, deleted afterwards. */
const READER_NAME = 'sluice-queue'

/** Interval at which a follower's progress is compared with the end of the topic. */
const CATCH_UP_POLL_MS = 10
const CATCH_UP_MS_MAX = 10_000

/** Position up to which the dispositions of a stream are applied to a state. */
export class DispositionChanges {
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

  /**
   * Resolves once the follower has applied everything that is committed at the call. @throws SluiceError as
   * `readQueue`.
   */
  async untilNow(): Promise<void> {
    const ends = await this.#ends()
    const endMs = performance.now() + CATCH_UP_MS_MAX
    while (!this.#hasTaken(ends)) {
      if (performance.now() > endMs)
        throw await kafkaUnreadable(this.#config, `${this.#topic} was not read to its end`)
      await sleepMs(CATCH_UP_POLL_MS)
    }
  }

  /** Reads newer records into the state. @throws SluiceError as `readToEnd`, or the signal's reason. */
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

/** Reads the current content of the topics. @throws SluiceError as `readToEnd`, or the signal's reason. */
export async function readQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
): Promise<DispositionChanges> {
  const { startAt } = await plan(config)
  const changes = new DispositionChanges(config)
  changes.startAt(startAt)
  const onAdvance = changes.advance.bind(changes)
  await readToEnd(
    { ...readerOf(config, startAt), onAdvance },
    (batch) => {
      state.take(batch)
    },
    signal,
  )
  return changes
}

/** Follows the topics until the signal is aborted. @throws SluiceError as `follow`. */
export async function followQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
  onCaughtUp: () => void,
  changes = new DispositionChanges(config),
): Promise<void> {
  const planned = await plan(config)
  changes.startAt(planned.startAt)
  const progress = new ResumeProgress(planned)
  let wasCaughtUp = false
  const look = (): void => {
    if (wasCaughtUp || !progress.isCaughtUp) return
    wasCaughtUp = true
    onCaughtUp()
  }
  const onAdvance = (topic: string, partition: number, next: number): void => {
    progress.advance(topic, partition, next)
    changes.advance(topic, partition, next)
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
    // Dispositions are remembered for longer than alerts, so that no finding is recorded twice.
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
