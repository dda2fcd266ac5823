// The last committed record of a partition, found from its end backwards.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../core/errors.ts'
import type { LogRecord } from '../log-client.ts'
import { searchBackwards } from '../search-backwards.ts'
import type { Cluster } from './cluster.ts'
import { FETCH, LIST_OFFSETS, type LogEnd } from './fetch-requests.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import { RecordCursor } from './record-cursor.ts'

const BYTES_MAX = 32 * 1024 * 1024
const RECORDS_MAX = 1_024
const MOVED_MS_MAX = 10_000
const RETRY_MS = 50
/** How long a transaction may be open in the partition before its reader gives up. */
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

/** Once no transaction is open in the partition. Null when it holds no committed record. @throws KafkaAnswerError */
export async function readLastRecord(
  cluster: Cluster,
  topic: string,
  partition: number,
): Promise<LogRecord | null> {
  const endMs = performance.now() + MOVED_MS_MAX
  for (;;) {
    try {
      const high = await stableEnd(cluster, topic, partition)
      const low = await endOf(cluster, topic, partition, 'earliest')
      return await searchBackwards({ low, high }, (from, to) =>
        lastBetween(cluster, topic, partition, from, to),
      )
    } catch (error) {
      const hasMoved = error instanceof KafkaAnswerError && MOVED.has(error.type)
      if (!hasMoved || performance.now() > endMs) throw error
      cluster.forgetTopic(topic)
      await sleepMs(RETRY_MS)
    }
  }
}

/** The end of the partition once all of it is committed or aborted: the end of a transaction is written after its answer. */
async function stableEnd(cluster: Cluster, topic: string, partition: number): Promise<number> {
  const endMs = performance.now() + STABLE_MS_MAX
  // What is appended from here on is of no earlier owner.
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

async function lastBetween(
  cluster: Cluster,
  topic: string,
  partition: number,
  from: number,
  to: number,
): Promise<LogRecord | null> {
  const { topicId } = await cluster.topic(topic)
  const leader = await cluster.leaderOf(topic, partition)
  let last: LogRecord | null = null
  for (let offset = from; offset < to;) {
    const { error, partitions } = await cluster.send(leader, 'control', FETCH, {
      waitMsMax: 0,
      bytesMax: BYTES_MAX,
      topics: [{ topicId, partitions: [{ partition, offset, bytesMax: BYTES_MAX }] }],
    })
    const [fetched] = partitions
    const failure = error === 'NONE' ? (fetched?.error ?? 'UNKNOWN_SERVER_ERROR') : error
    if (failure !== 'NONE') throw new KafkaAnswerError('Fetch', failure, `${topic}/${partition}`)
    if (fetched === undefined || fetched.bytes === null) return last
    const { bytes, aborted } = fetched
    const cursor = new RecordCursor({ bytes, fromOffset: offset, aborted })
    while (!cursor.isDone) last = (await cursor.take(RECORDS_MAX)).at(-1) ?? last
    if (cursor.nextOffset === offset) return last
    offset = cursor.nextOffset
  }
  return last
}
