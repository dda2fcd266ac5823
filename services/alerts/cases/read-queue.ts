// Reads what the queue is made of: once up to now, or on and on.

import { systemClock } from '../../platform/clock.ts'
import { follow, readToEnd } from '../../platform/kafka/committed-reader.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway } from '../../platform/kafka/kafka-failure.ts'
import { planSince, ResumeProgress, type ResumePlan } from '../../platform/kafka/resume-plan.ts'
import { readPartitionCount, topicName } from '../../platform/kafka/topics.ts'
import type { QueueConfig } from './config.ts'
import { QUEUE_TOPICS, type QueueState } from './queue-state.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

/** Name of the groups that read for the queue; each run has one of its own, deleted afterwards. */
const READER_NAME = 'sluice-queue'

/** Reads what is there now. @throws SluiceError as `readToEnd`, or the signal's reason. */
export async function readQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
): Promise<void> {
  const { startAt } = await plan(config)
  await readToEnd(
    readerOf(config, startAt),
    (batch) => {
      state.take(batch)
    },
    signal,
  )
}

/** Follows the topics until the signal comes. @throws SluiceError as `follow`. */
export async function followQueue(
  config: QueueConfig,
  state: QueueState,
  signal: AbortSignal,
  onCaughtUp: () => void,
): Promise<void> {
  const planned = await plan(config)
  const progress = new ResumeProgress(planned)
  let wasCaughtUp = false
  const look = (): void => {
    if (wasCaughtUp || !progress.isCaughtUp) return
    wasCaughtUp = true
    onCaughtUp()
  }
  const onAdvance = (topic: string, partition: number, next: number): void => {
    progress.advance(topic, partition, next)
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
  const admin = openKafka(config, {
    clientId: READER_NAME,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  }).admin()
  try {
    await admin.connect()
    await readPartitionCount(admin, topicPrefix, QUEUE_TOPICS)
    const topics = QUEUE_TOPICS.map((topic) => topicName(topicPrefix, topic))
    // What was found is remembered for longer than alerts are, so that it is not said twice.
    const whole = new Set([topicName(topicPrefix, 'dispositions')])
    return await planSince(admin, topics, systemClock.nowMs() - horizonMs, whole)
  } catch (error) {
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
