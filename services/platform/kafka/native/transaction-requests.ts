// Requests of Kafka transactions. Versions with the same layout share a function. The version selects the kind of
// transaction, since brokers add partitions and offsets by themselves from Produce v12 and TxnOffsetCommit v5 on.

import type { Reader, Writer } from '@platformatic/kafka'
import type { InputOffset } from '../log-client.ts'
import type { RequestKind } from './cluster.ts'
import { type ErrorName, errorNameOf } from './kafka-errors.ts'
import type { Membership } from './membership.ts'

/** One incarnation of a transactional id; in version 2 every transaction has its own epoch. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly epoch: number
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

interface Answer {
  readonly error: ErrorName
}

interface ProducerBody {
  readonly transactionalId: string
  readonly producer: ProducerIdentity
}

export const INIT_PRODUCER_ID: RequestKind<
  {
    /** Null for a producer outside of transactions, whose batches a broker still recognises when they are repeated. */
    readonly transactionalId: string | null
    readonly timeoutMs: number
  },
  Answer & ProducerIdentity
> = {
  name: 'InitProducerId',
  apiKey: 22,
  version: 5,
  write: (writer, { transactionalId, timeoutMs }) => {
    writer
      .appendString(transactionalId)
      .appendInt32(timeoutMs)
      .appendInt64(-1n)
      .appendInt16(-1)
      .appendTaggedFields()
  },
  read: (reader) => {
    const error = readError(reader)
    const answer = { error, producerId: reader.readInt64(), epoch: reader.readInt16() }
    reader.readTaggedFields()
    return answer
  },
}

/** Announces the partitions that a transaction of version 1 writes to. */
export const ADD_PARTITIONS: RequestKind<
  ProducerBody & { readonly partitions: readonly TopicPartition[] },
  Answer
> = {
  name: 'AddPartitionsToTxn',
  apiKey: 24,
  version: 3,
  write: (writer, { transactionalId, producer, partitions }) => {
    writer
      .appendString(transactionalId)
      .appendInt64(producer.producerId)
      .appendInt16(producer.epoch)
      .appendArray(byTopic(partitions), (w, [topic, ofTopic]) =>
        w
          .appendString(topic)
          .appendArray(ofTopic, (each, { partition }) => each.appendInt32(partition), true, false),
      )
      .appendTaggedFields()
  },
  read: readErrorsOfPartitions,
}

/** Announces the group whose offsets a transaction of version 1 commits. */
export const ADD_OFFSETS: RequestKind<ProducerBody & { readonly groupId: string }, Answer> = {
  name: 'AddOffsetsToTxn',
  apiKey: 25,
  version: 3,
  write: (writer, { transactionalId, producer, groupId }) => {
    writer
      .appendString(transactionalId)
      .appendInt64(producer.producerId)
      .appendInt16(producer.epoch)
      .appendString(groupId)
      .appendTaggedFields()
  },
  read: (reader) => {
    const error = readError(reader)
    reader.readTaggedFields()
    return { error }
  },
}

type TxnOffsetCommitBody = ProducerBody & {
  readonly groupId: string
  readonly membership: Membership
  /** At most one per partition. */
  readonly offsets: readonly InputOffset[]
}

function txnOffsetCommit(version: number): RequestKind<TxnOffsetCommitBody, Answer> {
  return {
    name: 'TxnOffsetCommit',
    apiKey: 28,
    version,
    write: (writer, { transactionalId, producer, groupId, membership, offsets }) => {
      writer
        .appendString(transactionalId)
        .appendString(groupId)
        .appendInt64(producer.producerId)
        .appendInt16(producer.epoch)
        .appendInt32(membership.generation)
        .appendString(membership.memberId)
        .appendString(membership.instanceId)
        .appendArray(byTopic(offsets), (w, [topic, ofTopic]) =>
          w.appendString(topic).appendArray(ofTopic, (each, { partition, offset, metadata }) =>
            each
              .appendInt32(partition)
              .appendInt64(BigInt(offset))
              // The leader epoch of the last record read; unknown.
              .appendInt32(-1)
              .appendString(metadata),
          ),
        )
        .appendTaggedFields()
    },
    read: readErrorsOfPartitions,
  }
}

/** By transaction version. */
export const TXN_OFFSET_COMMIT = { v1: txnOffsetCommit(4), v2: txnOffsetCommit(5) } as const

/** One record batch for one partition. */
export interface PartitionBatch extends TopicPartition {
  readonly batch: Buffer
}

interface ProduceBody {
  /** Null outside of transactions. */
  readonly transactionalId: string | null
  /** Longest wait of the leader for its replicas. */
  readonly timeoutMs: number
  readonly batches: readonly PartitionBatch[]
}

/** The result of one batch. */
export interface ProduceResult extends TopicPartition {
  readonly error: ErrorName
  /** Offset of the first record; -1 after an error. */
  readonly baseOffset: number
  readonly message: string | null
}

const ACKS_ALL = -1

function produce(version: number): RequestKind<ProduceBody, readonly ProduceResult[]> {
  return {
    name: 'Produce',
    apiKey: 0,
    version,
    write: (writer, { transactionalId, timeoutMs, batches }) => {
      writer
        .appendString(transactionalId)
        .appendInt16(ACKS_ALL)
        .appendInt32(timeoutMs)
        .appendArray(byTopic(batches), (w, [topic, partitions]) =>
          w
            .appendString(topic)
            .appendArray(partitions, (each, { partition, batch }) =>
              each.appendInt32(partition).appendBytes(batch),
            ),
        )
        .appendTaggedFields()
    },
    read: readProduceResults,
  }
}

/** By transaction version. */
export const PRODUCE = { v1: produce(11), v2: produce(12) } as const

/** Commits. Version 1 leaves the producer unchanged; version 2 returns the producer of the next transaction. */
export const END_TXN: {
  readonly v1: RequestKind<ProducerBody, Answer & { readonly next: null }>
  readonly v2: RequestKind<ProducerBody, Answer & { readonly next: ProducerIdentity }>
} = {
  v1: {
    name: 'EndTxn',
    apiKey: 26,
    version: 4,
    write: writeCommit,
    read: (reader) => {
      const error = readError(reader)
      reader.readTaggedFields()
      return { error, next: null }
    },
  },
  v2: {
    name: 'EndTxn',
    apiKey: 26,
    version: 5,
    write: writeCommit,
    read: (reader) => {
      const error = readError(reader)
      const next = { producerId: reader.readInt64(), epoch: reader.readInt16() }
      reader.readTaggedFields()
      return { error, next }
    },
  },
}

function byTopic<Item extends TopicPartition>(items: readonly Item[]): [string, Item[]][] {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(item.topic)
    if (group === undefined) groups.set(item.topic, [item])
    else group.push(item)
  }
  return [...groups]
}

function writeCommit(writer: Writer, { transactionalId, producer }: ProducerBody): void {
  writer
    .appendString(transactionalId)
    .appendInt64(producer.producerId)
    .appendInt16(producer.epoch)
    .appendBoolean(true)
    .appendTaggedFields()
}

function readError(reader: Reader): ErrorName {
  // Throttle time, which the broker enforces itself.
  reader.readInt32()
  return errorNameOf(reader.readInt16())
}

/** The first informative error of any partition; the others only report that they were not attempted. */
function readErrorsOfPartitions(reader: Reader): Answer {
  reader.readInt32()
  let error: ErrorName = 'NONE'
  reader.readArray((topic) => {
    topic.readString()
    topic.readArray((partition) => {
      partition.readInt32()
      const found = errorNameOf(partition.readInt16())
      if (error === 'NONE' || error === 'OPERATION_NOT_ATTEMPTED')
        error = found === 'NONE' ? error : found
      return null
    })
    return null
  })
  reader.readTaggedFields()
  return { error }
}

function readProduceResults(reader: Reader): readonly ProduceResult[] {
  const results: ProduceResult[] = []
  reader.readArray((topics) => {
    const topic = topics.readString()
    topics.readArray((partitions) => {
      const partition = partitions.readInt32()
      const error = errorNameOf(partitions.readInt16())
      const baseOffset = Number(partitions.readInt64())
      // Append time, log start offset.
      partitions.skip(2 * 8)
      partitions.readArray((record) => {
        record.readInt32()
        record.readNullableString()
        return null
      })
      const message = partitions.readNullableString()
      results.push({ topic, partition, error, baseOffset, message })
      return null
    })
    return null
  })
  reader.readInt32()
  reader.readTaggedFields()
  return results
}
