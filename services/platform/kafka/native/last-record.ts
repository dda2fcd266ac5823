// Finds the last committed record of a partition, searching backwards from its end.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError, SluiceError } from '../../../core/errors.ts'
import type { LogRange, LogRecord } from '../log-client.ts'
import type { LogEnds } from '../log-ends.ts'
import { searchBackwards } from '../search-backwards.ts'
import type { Cluster } from './cluster.ts'
import { LIST_OFFSETS, type LogEnd } from './fetch-requests.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import { readRange } from './range-reader.ts'

const MOVED_MS_MAX = 10_000
const RETRY_MS = 50
/** Longest time that a transaction may be open in the partition before the reader gives up. */
const STABLE_MS_MAX = 15_000
const STABLE_RETRY_MS = 5

const MOVED: ReadonlySet<ErrorName> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
])

/**
 * Reads the last committed record once no transaction is open in the partition. Null when there is none.
 * @throws KafkaAnswerError, and errors of LogClient.readRange
 */
export function readLastRecord(
  cluster: Cluster,
  topic: string,
  partition: number,
): Promise<LogRecord | null> {
  return untilFound(cluster, topic, async () => {
    const high = await stableEnd(cluster, topic, partition)
    const low = await endOf(cluster, topic, partition, 'earliest')
    return searchBackwards({ low, high }, (from, to) =>
      lastBetween(cluster, { topic, partition, from, to }),
    )
  })
}

/** Reads the offsets that a partition holds, without those that an open transaction may change. @throws KafkaAnswerError */
export function readEnds(cluster: Cluster, topic: string, partition: number): Promise<LogEnds> {
  return untilFound(cluster, topic, async () => ({
    low: await endOf(cluster, topic, partition, 'earliest'),
    high: await endOf(cluster, topic, partition, 'committed'),
  }))
}

/** Repeats a reading while the leader of the partition moves. */
async function untilFound<Found>(
  cluster: Cluster,
  topic: string,
  read: () => Promise<Found>,
): Promise<Found> {
  const endMs = performance.now() + MOVED_MS_MAX
  for (;;) {
    try {
      return await read()
    } catch (error) {
      const hasMoved = error instanceof KafkaAnswerError && MOVED.has(error.type)
      // Retention removed the lowest offset between the request for it and the reading.
      const isGone = isSluiceError(error, 'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE')
      if (!(hasMoved || isGone) || performance.now() > endMs) throw error
      cluster.forgetTopic(topic)
      await sleepMs(RETRY_MS)
    }
  }
}

/**
 * The end of the partition, once all of it is committed or aborted. A transaction's marker is written after its answer.
 */
async function stableEnd(cluster: Cluster, topic: string, partition: number): Promise<number> {
  const endMs = performance.now() + STABLE_MS_MAX
  // Records appended from here on are not by an earlier owner.
  const high = await endOf(cluster, topic, partition, 'latest')
  for (;;) {
    if ((await endOf(cluster, topic, partition, 'committed')) >= high) return high
    if (performance.now() > endMs) {
      throw new SluiceError(
        'SLUICE_BROKER_UNAVAILABLE',
        `The end of ${topic}/${partition} is held up by a transaction that is open for more than ` +
          `${STABLE_MS_MAX / 1_000} s; end it, or wait until the broker does.`,
      )
    }
    await sleepMs(STABLE_RETRY_MS)
  }
}

async function endOf(
  cluster: Cluster,
  topic: string,
  partition: number,
  end: LogEnd,
): Promise<number> {
  const leader = await cluster.leaderOf(topic, partition)
  const { error, offset } = await cluster.send(leader, 'control', LIST_OFFSETS, {
    topic,
    partition,
    end,
  })
  if (error === 'NONE') return offset
  throw new KafkaAnswerError('ListOffsets', error, `${topic}/${partition}`)
}

async function lastBetween(cluster: Cluster, range: LogRange): Promise<LogRecord | null> {
  let last: LogRecord | null = null
  await readRange(
    cluster,
    range,
    (records) => {
      last = records.at(-1) ?? last
      return Promise.resolve()
    },
    null,
  )
  return last
}
