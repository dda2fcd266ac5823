// Requests of the native reader: Fetch and ListOffsets.

import type { Reader } from '@platformatic/kafka'
import type { RequestKind } from './cluster.ts'
import { type ErrorName, errorNameOf } from './kafka-errors.ts'

const COMMITTED_READS = 1
/** No fetch session: each request names all of its partitions. */
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
  /** Raw record batches, the last one perhaps cut off. */
  readonly bytes: Buffer | null
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
