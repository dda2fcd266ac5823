// Shared by tests of roles: a secured broker with the topics of a stream, messages of an administrator for the roles to
// find, and services that run until their work is done.

import type { Producer } from 'kafkajs'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import { createTopics, topicName, type Topic } from '../../services/platform/kafka/topics.ts'
import { blockOf, metricOf } from './acting.ts'
import { eventually } from './poll.ts'
import {
  kafkaOf,
  openSecureStage,
  PREFIX,
  RETRY,
  type Environment,
  type SecureStage,
} from './secure-stage.ts'

export const PARTITION_COUNT = 2

/** A secured stage with the topics of a stream. */
export interface RolesAtWork {
  readonly stage: SecureStage
  /** Variables of a service that runs as this user. */
  environmentOf(user: Parameters<SecureStage['kafkaEnv']>[0], more?: Environment): Environment
  /** Sends as an administrator, into the partition of the key. Returns the offset. */
  send(topic: Topic, key: string, value: Buffer | string): Promise<number>
  /** Publishes a block of a new card that begins now. */
  publishBlock(): Promise<Alert>
  close(): Promise<void>
}

/** Starts the servers, grants these roles their rights, and makes the topics. */
export async function openRolesAtWork(roles: readonly string[]): Promise<RolesAtWork> {
  const stage = await openSecureStage(roles)
  const options = { partitionCount: PARTITION_COUNT, replicationFactor: 1 }
  await createTopics(stage.admin, PREFIX, options)
  const kafka = openKafka(kafkaOf(stage.kafkaEnv('admin')), { clientId: 'test', retry: RETRY })
  const producer: Producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  let blocks = 0
  const send = async (topic: Topic, key: string, value: Buffer | string): Promise<number> => {
    const partition = partitionOfText(key, PARTITION_COUNT)
    const messages = [{ key, value, partition, timestamp: String(Date.now()) }]
    const [sent] = await producer.send({ topic: topicName(PREFIX, topic), messages })
    return Number(sent?.baseOffset)
  }
  return {
    stage,
    send,
    environmentOf: (user, more = {}) => ({
      ...stage.kafkaEnv(user),
      SLUICE_TOPIC_PREFIX: PREFIX,
      SLUICE_METRICS_PORT: '0',
      ...more,
    }),
    async publishBlock() {
      blocks += 1
      const alert = blockOf(`card-${blocks}`, blocks)
      await send('alerts', alert.card, stage.codecs.alert.encode(alert))
      return alert
    },
    async close() {
      await producer.disconnect()
      await stage.close()
    },
  }
}

/** Runs a service until it has done its work. @throws its error if it ends before. */
export async function runUntilDone(
  run: (signal: AbortSignal, done: () => void) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  let isDone = false
  const ended = run(stop.signal, () => {
    isDone = true
  })
  const endedEarly = ended.then(() => {
    if (!isDone) throw new Error('The service ended before its work was done.')
  })
  try {
    await eventually('its work is done', () => Promise.resolve(isDone), { failed: endedEarly })
  } finally {
    stop.abort()
  }
  await ended
}

/** Calls `done` once these series of a process's metrics are above 0, or stops at the signal. */
export function whenCounted(
  port: number,
  series: readonly string[],
  signal: AbortSignal,
  done: () => void,
): void {
  const isCounted = async (): Promise<boolean> => {
    if (signal.aborted) return true
    const values = await Promise.all(series.map((each) => metricOf(port, each).catch(() => 0)))
    return values.every((value) => value > 0)
  }
  void eventually(series.join(' and '), isCounted).then(done, () => undefined)
}
