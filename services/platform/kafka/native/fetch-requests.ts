// Requests of the native reader: Fetch and ListOffsets.

import type { Reader } from '@platformatic/kafka'
import type { Cluster, Purpose, RequestKind } from './cluster.ts'
import { type ErrorName, errorNameOf } from './kafka-errors.ts'

const ALL_READS = 0
const COMMITTED_READS = 1
/** No fetch session: each request lists all of its partitions. */
const SESSION_NONE = { id: 0, epoch: -1 } as const
const EPOCH_UNKNOWN = -1

/** One partition of a fetch. */
export interface FetchedPartition {
  readonly topicId: string
  readonly partition: number
  readonly error: ErrorName
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[]
  /** Raw record batches; the last one may be cut off. */
  readonly bytes: Buffer | null
}

/** The position and size of a fetch. */
export interface FetchPlace {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  readonly bytesMax: number
  /** Longest wait of the broker for records. */
  readonly waitMsMax: number
}

/**
 * Fetches one partition from its leader. `fetched` is null when the answer omits the partition, as a throttling broker
 * does.
 */
export async function fetchFromLeader(
  cluster: Cluster,
  purpose: Purpose,
  { topic, topicId, partition, offset, bytesMax, waitMsMax }: FetchPlace,
): Promise<{ readonly failure: ErrorName; readonly fetched: FetchedPartition | null }> {
  const leader = await cluster.leaderOf(topic, partition)
  const { error, partitions } = await cluster.send(leader, purpose, FETCH, {
    waitMsMax,
    bytesMax,
    topics: [{ topicId, partitions: [{ partition, offset, bytesMax }] }],
  })
  const [fetched = null] = partitions
  return { failure: error === 'NONE' && fetched !== null ? fetched.error : error, fetched }
}

export const FETCH: RequestKind<
  {
    readonly waitMsMax: number
    readonly bytesMax: number
    readonly topics: readonly {
      readonly topicId: string
      readonly partitions: readonly {
        readonly partition: number
        readonly offset: number
        readonly bytesMax: number
      }[]
    }[]
  },
  { readonly error: ErrorName; readonly partitions: readonly FetchedPartition[] }
> = {
  name: 'Fetch',
  apiKey: 1,
  version: 16,
  write: (writer, { waitMsMax, bytesMax, topics }) => {
    writer
      .appendInt32(waitMsMax)
      .appendInt32(1)
      .appendInt32(bytesMax)
      .appendInt8(COMMITTED_READS)
      .appendInt32(SESSION_NONE.id)
      .appendInt32(SESSION_NONE.epoch)
      .appendArray([...topics], (w, { topicId, partitions }) =>
        w
          .appendUUID(topicId)
          .appendArray([...partitions], (p, { partition, offset, bytesMax: partitionBytesMax }) =>
            p
              .appendInt32(partition)
              .appendInt32(EPOCH_UNKNOWN)
              .appendInt64(BigInt(offset))
              .appendInt32(EPOCH_UNKNOWN)
              .appendInt64(-1n)
              .appendInt32(partitionBytesMax),
          ),
      )
      .appendArray([], () => undefined)
      .appendString('')
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const error = errorNameOf(reader.readInt16())
    reader.readInt32()
    const partitions: FetchedPartition[] = []
    reader.readArray((r) => {
      const topicId = r.readUUID()
      r.readArray((p) => {
        partitions.push(readPartition(p, topicId))
        return null
      })
      return null
    })
    reader.readTaggedFields()
    return { error, partitions }
  },
}

/** An end of a partition. `committed` is the last stable offset. */
export type LogEnd = 'earliest' | 'latest' | 'committed'

const END_TIMESTAMPS: Readonly<Record<LogEnd, bigint>> = {
  earliest: -2n,
  latest: -1n,
  committed: -1n,
}

export const LIST_OFFSETS: RequestKind<
  { readonly topic: string; readonly partition: number; readonly end: LogEnd },
  { readonly error: ErrorName; readonly offset: number }
> = {
  name: 'ListOffsets',
  apiKey: 2,
  version: 7,
  write: (writer, { topic, partition, end }) => {
    writer
      .appendInt32(-1)
      .appendInt8(end === 'committed' ? COMMITTED_READS : ALL_READS)
      .appendArray([topic], (w, name) =>
        w
          .appendString(name)
          .appendArray([partition], (p, each) =>
            p.appendInt32(each).appendInt32(EPOCH_UNKNOWN).appendInt64(END_TIMESTAMPS[end]),
          ),
      )
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const [found] = reader.readArray((r) => {
      r.readString()
      return r.readArray((p) => {
        p.readInt32()
        const error = errorNameOf(p.readInt16())
        p.readInt64()
        const offset = Number(p.readInt64())
        p.readInt32()
        return { error, offset }
      })
    })
    reader.readTaggedFields()
    return found?.[0] ?? { error: 'UNKNOWN_SERVER_ERROR', offset: -1 }
  },
}

function readPartition(reader: Reader, topicId: string): FetchedPartition {
  const partition = reader.readInt32()
  const error = errorNameOf(reader.readInt16())
  const highWatermark = Number(reader.readInt64())
  const lastStableOffset = Number(reader.readInt64())
  const logStartOffset = Number(reader.readInt64())
  const aborted = reader.readNullableArray((r) => ({
    producerId: r.readInt64(),
    firstOffset: Number(r.readInt64()),
  }))
  reader.readInt32()
  const bytes = reader.readNullableBytes()
  return {
    topicId,
    partition,
    error,
    logStartOffset,
    highWatermark,
    lastStableOffset,
    aborted: aborted ?? [],
    bytes: bytes === null || bytes.length === 0 ? null : bytes,
  }
}
