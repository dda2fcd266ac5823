// Finds the end of the transaction in which a record was written: the control batch that the broker appends to the
// partition.

import type { LogRecord } from '../log-client.ts'
import type { Cluster } from './cluster.ts'
import { type FetchedPartition, fetchFromLeader } from './fetch-requests.ts'
import { KafkaAnswerError } from './kafka-errors.ts'
import { ATTRIBUTES, BATCH } from './record-batch.ts'
import { checkedBatchEnd, isWholeBatchAt, readInt64, RecordCursor } from './record-cursor.ts'

/** A broker returns a larger batch whole. */
const BYTES_MAX = 1024 * 1024
/** Fetches after which the marker counts as gone; it follows a few records later. */
const FETCHES_MAX = 32

export interface CommitMarker {
  readonly offset: number
  /** By the clock of the partition's leader. */
  readonly timestampMs: number
}

/** The committed record at an offset; null when there is none, or no longer. @throws KafkaAnswerError */
export async function readRecordAt(
  cluster: Cluster,
  topic: string,
  partition: number,
  offset: number,
): Promise<LogRecord | null> {
  const fetched = await fetchAt(cluster, topic, partition, offset)
  if (fetched === null || fetched.bytes === null) return null
  const { bytes, aborted } = fetched
  const cursor = new RecordCursor({ bytes, fromOffset: offset, aborted })
  const [record] = await cursor.take(1)
  return record?.offset === offset ? record : null
}

/**
 * The commit marker of the record at a committed offset. Null when the record was written outside a transaction, or
 * when the marker cannot be read: the log is gone, or a later transaction is still open before it.
 * @throws KafkaAnswerError, SluiceError SLUICE_LOG_CORRUPT
 */
export async function readCommitMarker(
  cluster: Cluster,
  topic: string,
  partition: number,
  offset: number,
): Promise<CommitMarker | null> {
  const search = new MarkerSearch(offset)
  for (let fetches = 0; fetches < FETCHES_MAX && !search.isDone; fetches += 1) {
    const from = search.nextOffset
    const fetched = await fetchAt(cluster, topic, partition, from)
    if (fetched === null || fetched.bytes === null) return null
    search.read(fetched.bytes)
    if (search.nextOffset === from) return null
  }
  return search.marker
}

/** Goes through the batches of a partition, starting with the one that holds the record. */
export class MarkerSearch {
  readonly #offset: number
  #producerId: bigint | null = null
  #marker: CommitMarker | null = null
  #isDone = false
  nextOffset: number

  constructor(offset: number) {
    this.#offset = offset
    this.nextOffset = offset
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Null until the marker is found, and when there is none. */
  get marker(): CommitMarker | null {
    return this.#marker
  }

  /** Reads whole batches, in order. @throws SluiceError SLUICE_LOG_CORRUPT */
  read(bytes: Buffer): void {
    let start = 0
    while (!this.#isDone && isWholeBatchAt(bytes, start)) {
      const baseOffset = readInt64(bytes, start + BATCH.baseOffset)
      const end = checkedBatchEnd(bytes, start, baseOffset)
      const lastOffset = baseOffset + bytes.readInt32BE(start + BATCH.lastOffsetDelta)
      if (lastOffset >= this.nextOffset) {
        this.#take(bytes, start, baseOffset)
        this.nextOffset = lastOffset + 1
      }
      start = end
    }
  }

  #take(bytes: Buffer, start: number, baseOffset: number): void {
    const attributes = bytes.readInt16BE(start + BATCH.attributes)
    const producerId = bytes.readBigInt64BE(start + BATCH.producerId)
    if (this.#producerId === null) {
      // The batch of the record itself. If it begins behind the record, the record is gone.
      this.#isDone = baseOffset > this.#offset || (attributes & ATTRIBUTES.isTransactional) === 0
      this.#producerId = producerId
      return
    }
    // The record is committed, so the next control batch of its producer is the commit marker, not an abort.
    if ((attributes & ATTRIBUTES.isControl) === 0 || producerId !== this.#producerId) return
    this.#isDone = true
    this.#marker = {
      offset: baseOffset,
      timestampMs: readInt64(bytes, start + BATCH.maxTimestamp),
    }
  }
}

/** Null when the log no longer holds the offset. */
async function fetchAt(
  cluster: Cluster,
  topic: string,
  partition: number,
  offset: number,
): Promise<FetchedPartition | null> {
  const { topicId } = await cluster.topic(topic)
  const wanted = { topic, topicId, partition, offset, bytesMax: BYTES_MAX, waitMsMax: 0 }
  const { failure, fetched } = await fetchFromLeader(cluster, 'control', wanted)
  if (failure === 'OFFSET_OUT_OF_RANGE') return null
  if (failure !== 'NONE' || fetched === null) {
    const type = failure === 'NONE' ? 'UNKNOWN_SERVER_ERROR' : failure
    throw new KafkaAnswerError('Fetch', type, `${topic}/${partition}`)
  }
  return fetched
}
