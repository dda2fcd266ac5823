// Reads the topics of a run from beginning to end, with a committed reader that has nothing to do with the scorer,
// and waits until there is nothing left to decide.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { readLogEnds } from '../../services/platform/kafka/log-ends.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { TopicTally, type TalliedTopic, type TallyResult } from './topic-tally.ts'

const TALLIED: readonly TalliedTopic[] = ['transactions', 'decisions', 'alerts', 'dead-letters']
const POLL_MS = 100
/** Long enough for a restart of the scorer and a session time-out; without progress beyond it, it hangs. */
const STANDSTILL_MS_MAX = 60_000

/** Counts everything in the topics with this prefix. */
export async function tallyTopics(
  { brokers, security }: KafkaConnection,
  topicPrefix: string,
  codecs: Codecs,
  signal: AbortSignal,
): Promise<TallyResult> {
  const tally = new TopicTally(codecs)
  const byName = new Map(TALLIED.map((topic) => [topicName(topicPrefix, topic), topic]))
  await readToEnd(
    {
      brokers,
      security,
      name: 'sluice-demo-check',
      topics: [...byName.keys()],
      startAt: 'beginning',
    },
    ({ topic, partition, messages }) => {
      const tallied = byName.get(topic)
      if (tallied === undefined) return
      for (const { offset, timestamp, value } of messages) {
        const position = { partition, offset: Number(offset), timestampMs: Number(timestamp) }
        tally.add(tallied, { ...position, value })
      }
    },
    signal,
  )
  return tally.result()
}

/**
 * Waits until the group has committed everything that is in both input topics at the call. False when it stands
 * still before that.
 * @throws the signal's reason.
 */
export async function waitUntilDecided(
  admin: Admin,
  groupId: string,
  topicPrefix: string,
  signal: AbortSignal,
): Promise<boolean> {
  const topics = (['transactions', 'labels'] as const).map((topic) => topicName(topicPrefix, topic))
  const ends = new Map<string, number>()
  for (const topic of topics) {
    for (const [partition, { high }] of await readLogEnds(admin, topic)) {
      ends.set(`${topic}/${partition}`, high)
    }
  }
  let leftBefore = Number.POSITIVE_INFINITY
  let movedMs = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const left = await leftToCommit(admin, groupId, topics, ends)
    if (left === 0) return true
    if (left < leftBefore) movedMs = performance.now()
    leftBefore = left
    if (performance.now() - movedMs > STANDSTILL_MS_MAX) return false
    await sleepMs(POLL_MS)
  }
}

async function leftToCommit(
  admin: Admin,
  groupId: string,
  topics: readonly string[],
  ends: ReadonlyMap<string, number>,
): Promise<number> {
  let left = 0
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: [...topics] })) {
    for (const { partition, offset } of partitions) {
      // -1 means that nothing is committed yet.
      left += Math.max(0, (ends.get(`${topic}/${partition}`) ?? 0) - Math.max(0, Number(offset)))
    }
  }
  return left
}
