// Reads a range of one partition by Fetch, without the consumer group, on its own connection: a long range delays
// neither the fetches nor the commits of working partitions.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../core/errors.ts'
import { kafkaRefusal } from '../kafka-failure.ts'
import type { LogRange, LogRecord } from '../log-client.ts'
import { offsetOutOfRange } from '../log-ends.ts'
import type { Cluster } from './cluster.ts'
import { type FetchedPartition, fetchFromLeader } from './fetch-requests.ts'
import { KafkaAnswerError } from './kafka-errors.ts'
import { askForMore, corrupt, PARTITION_BYTES, recreated } from './log-reader.ts'
import { RecordCursor } from './record-cursor.ts'

/** Longest wait of a broker for the end of a transaction that is open within the range. */
const WAIT_MS_MAX = 50
/** Most records per call of `onRecords`. */
const RECORDS_MAX = 2_048
/** Time without a reachable leader after which the reading fails. */
const AWAY_MS_MAX = 10_000
const RETRY_MS_FIRST = 10
const RETRY_MS_MAX = 500

/** The next offset to read, and the fetch settings. */
interface Place {
  readonly topic: string
  readonly partition: number
  /** The topic's id at the first fetch. Another id means that the topic was recreated. */
  topicId: string | null
  offset: number
  /** Bytes to fetch at a time. */
  bytesMax: number
}

/** Implements LogClient.readRange. At most one fetch of the range is in memory. */
export async function readRange(
  cluster: Cluster,
  { topic, partition, from, to }: LogRange,
  onRecords: (records: readonly LogRecord[]) => Promise<void>,
  signal: AbortSignal | null,
): Promise<void> {
  const place: Place = { topic, partition, topicId: null, offset: from, bytesMax: PARTITION_BYTES }
  while (place.offset < to) {
    const fetched = await fetchNext(cluster, place, signal)
    if (fetched.bytes === null) {
      // Everything is stable and nothing is left: compaction removed the last offsets.
      if (Math.min(fetched.highWatermark, fetched.lastStableOffset) >= to) return
      continue
    }
    const { bytes, aborted } = fetched
    const cursor = new RecordCursor({ bytes, fromOffset: place.offset, aborted })
    while (!cursor.isDone && cursor.nextOffset < to) {
      const records = await takeFrom(cursor, place)
      const inside = records.filter(({ offset }) => offset < to)
      if (inside.length > 0) await onRecords(inside)
      signal?.throwIfAborted()
    }
    if (cursor.nextOffset === place.offset) makeRoom(place)
    place.offset = cursor.nextOffset
  }
}

/** The next records of the partition; empty when there are none yet. */
async function fetchNext(
  cluster: Cluster,
  place: Place,
  signal: AbortSignal | null,
): Promise<FetchedPartition> {
  const giveUpMs = performance.now() + AWAY_MS_MAX
  for (let retryMs = RETRY_MS_FIRST; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
    signal?.throwIfAborted()
    try {
      const fetched = await fetchOnce(cluster, place)
      signal?.throwIfAborted()
      if (fetched !== null) return fetched
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof SluiceError) throw error
      const refusal = kafkaRefusal(error)
      if (refusal !== null) throw refusal
      if (performance.now() > giveUpMs) throw unreadable(place, error)
      cluster.forgetTopic(place.topic)
    }
    await sleepMs(retryMs)
  }
}

/** Null when the answer omits the partition, as a throttling broker's does. */
async function fetchOnce(cluster: Cluster, place: Place): Promise<FetchedPartition | null> {
  const { topic, partition, offset, bytesMax } = place
  const { topicId } = await cluster.topic(topic)
  if (place.topicId !== null && place.topicId !== topicId) throw recreated(place)
  place.topicId = topicId
  const wanted = { topic, topicId, partition, offset, bytesMax, waitMsMax: WAIT_MS_MAX }
  const { failure, fetched } = await fetchFromLeader(cluster, 'range', wanted)
  if (failure === 'NONE') return fetched
  if (failure === 'OFFSET_OUT_OF_RANGE' && fetched !== null) {
    const { logStartOffset: low, highWatermark: high } = fetched
    throw offsetOutOfRange(topic, partition, offset, { low, high })
  }
  throw new KafkaAnswerError('Fetch', failure, `${topic}/${partition}`)
}

async function takeFrom(cursor: RecordCursor, place: Place): Promise<readonly LogRecord[]> {
  try {
    return await cursor.take(RECORDS_MAX)
  } catch (error) {
    throw corrupt({ ...place, offset: cursor.nextOffset }, error)
  }
}

function makeRoom(place: Place): void {
  try {
    askForMore(place)
  } catch (error) {
    throw corrupt(place, error)
  }
}

function unreadable({ topic, partition, offset }: Place, cause: unknown): SluiceError {
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'SLUICE_BROKER_UNAVAILABLE',
    `${topic}-${partition} cannot be read from offset ${offset} on (${problem}); check that the brokers run.`,
    { cause },
  )
}
