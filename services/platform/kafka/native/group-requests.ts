// Requests of group membership (classic protocol), and the encoding of the members' messages (protocol type
// `consumer`).

import { Reader, Writer } from '@platformatic/kafka'
import type { RequestKind } from './cluster.ts'
import { type ErrorName, errorNameOf } from './kafka-errors.ts'
import type { Membership } from './membership.ts'

const PROTOCOL_TYPE = 'consumer'
const VERSION = 1

/** A member as the group leader sees it. */
export interface JoinedMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly subscription: Buffer
}

export const JOIN_GROUP: RequestKind<
  {
    readonly groupId: string
    readonly memberId: string
    readonly instanceId: string | null
    readonly sessionTimeoutMs: number
    readonly rebalanceTimeoutMs: number
    readonly protocol: string
    readonly subscription: Buffer
  },
  {
    readonly error: ErrorName
    readonly generation: number
    readonly leader: string
    /** True for a leader that rejoined under its instance id: the assignment stands. */
    readonly isAssigned: boolean
    readonly memberId: string
    /** Empty for all but the leader. */
    readonly members: readonly JoinedMember[]
  }
> = {
  name: 'JoinGroup',
  apiKey: 11,
  version: 9,
  write: (writer, body) => {
    writer
      .appendString(body.groupId)
      .appendInt32(body.sessionTimeoutMs)
      .appendInt32(body.rebalanceTimeoutMs)
      .appendString(body.memberId)
      .appendString(body.instanceId)
      .appendString(PROTOCOL_TYPE)
      .appendArray([body.protocol], (w, name) =>
        w.appendString(name).appendBytes(body.subscription),
      )
      .appendString(null)
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const error = errorNameOf(reader.readInt16())
    const generation = reader.readInt32()
    reader.readNullableString()
    reader.readNullableString()
    const leader = reader.readString()
    const isAssigned = reader.readBoolean()
    const memberId = reader.readString()
    const members = reader.readArray((r) => ({
      memberId: r.readString(),
      instanceId: r.readNullableString(),
      subscription: r.readBytes(),
    }))
    return { error, generation, leader, isAssigned, memberId, members }
  },
}

export const SYNC_GROUP: RequestKind<
  {
    readonly groupId: string
    readonly membership: Membership
    readonly protocol: string
    readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[]
  },
  { readonly error: ErrorName; readonly assignment: Buffer }
> = {
  name: 'SyncGroup',
  apiKey: 14,
  version: 5,
  write: (writer, { groupId, membership, protocol, assignments }) => {
    writer
      .appendString(groupId)
      .appendInt32(membership.generation)
      .appendString(membership.memberId)
      .appendString(membership.instanceId)
      .appendString(PROTOCOL_TYPE)
      .appendString(protocol)
      .appendArray([...assignments], (w, { memberId, assignment }) =>
        w.appendString(memberId).appendBytes(assignment),
      )
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const error = errorNameOf(reader.readInt16())
    reader.readNullableString()
    reader.readNullableString()
    return { error, assignment: reader.readBytes() }
  },
}

export const HEARTBEAT: RequestKind<
  { readonly groupId: string; readonly membership: Membership },
  { readonly error: ErrorName }
> = {
  name: 'Heartbeat',
  apiKey: 12,
  version: 4,
  write: (writer, { groupId, membership }) => {
    writer
      .appendString(groupId)
      .appendInt32(membership.generation)
      .appendString(membership.memberId)
      .appendString(membership.instanceId)
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    return { error: errorNameOf(reader.readInt16()) }
  },
}

export const LEAVE_GROUP: RequestKind<
  { readonly groupId: string; readonly memberId: string; readonly instanceId: string | null },
  { readonly error: ErrorName }
> = {
  name: 'LeaveGroup',
  apiKey: 13,
  version: 5,
  write: (writer, { groupId, memberId, instanceId }) => {
    writer
      .appendString(groupId)
      .appendArray([memberId], (w, id) =>
        w.appendString(id).appendString(instanceId).appendString(null),
      )
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    return { error: errorNameOf(reader.readInt16()) }
  },
}

export const OFFSET_FETCH: RequestKind<
  {
    readonly groupId: string
    readonly topic: string
    readonly partitions: readonly number[]
    /** True to wait for offsets of open transactions. */
    readonly requireStable: boolean
  },
  {
    readonly error: ErrorName
    readonly offsets: readonly {
      readonly partition: number
      readonly offset: number
      readonly metadata: string | null
      readonly error: ErrorName
    }[]
  }
> = {
  name: 'OffsetFetch',
  apiKey: 9,
  version: 9,
  write: (writer, { groupId, topic, partitions, requireStable }) => {
    writer
      .appendArray([groupId], (w, id) =>
        w
          .appendString(id)
          .appendString(null)
          .appendInt32(-1)
          .appendArray([topic], (v, name) =>
            v
              .appendString(name)
              .appendArray([...partitions], (u, each) => u.appendInt32(each), true, false),
          ),
      )
      .appendBoolean(requireStable)
      .appendTaggedFields()
  },
  read: (reader) => {
    reader.readInt32()
    const offsets: {
      partition: number
      offset: number
      metadata: string | null
      error: ErrorName
    }[] = []
    const [error = 'NONE'] = reader.readArray((group) => {
      group.readString()
      group.readArray((of) => {
        of.readString()
        of.readArray((each) => {
          const partition = each.readInt32()
          const offset = Number(each.readInt64())
          each.readInt32()
          const metadata = each.readNullableString()
          offsets.push({ partition, offset, metadata, error: errorNameOf(each.readInt16()) })
          return null
        })
        return null
      })
      return errorNameOf(group.readInt16())
    })
    return { error, offsets }
  },
}

/** A member's message to the leader: its topics, and a text. */
export interface Subscription {
  readonly topics: readonly string[]
  readonly data: string
}

export function encodeSubscription({ topics, data }: Subscription): Buffer {
  return Writer.create()
    .appendInt16(VERSION)
    .appendArray([...topics], (w, topic) => w.appendString(topic, false), false, false)
    .appendBytes(Buffer.from(data), false)
    .appendArray([], () => undefined, false, false).buffer
}

export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = Reader.from(bytes)
  reader.readInt16()
  const topics = reader.readArray((r) => r.readString(false), false, false)
  const data = reader.readNullableBytes(false)
  return { topics, data: data?.toString() ?? '' }
}

/** The leader's message to a member: its partitions of every topic, and the texts of all members, one per line. */
export interface Assignment {
  readonly topics: readonly string[]
  readonly partitions: readonly number[]
  readonly living: readonly string[]
}

export function encodeAssignment({ topics, partitions, living }: Assignment): Buffer {
  return Writer.create()
    .appendInt16(VERSION)
    .appendArray(
      [...topics],
      (w, topic) =>
        w
          .appendString(topic, false)
          .appendArray([...partitions], (v, each) => v.appendInt32(each), false, false),
      false,
      false,
    )
    .appendBytes(Buffer.from(living.join('\n')), false).buffer
}

/** Partitions are those of the first topic. A member without partitions receives no topic. */
export function decodeAssignment(bytes: Buffer): Pick<Assignment, 'partitions' | 'living'> {
  if (bytes.length === 0) return { partitions: [], living: [] }
  const reader = Reader.from(bytes)
  reader.readInt16()
  const [partitions = []] = reader.readArray(
    (r) => {
      r.readString(false)
      return r.readArray((each) => each.readInt32(), false, false)
    },
    false,
    false,
  )
  const data = reader.readNullableBytes(false)
  // A leader that is not a native client sends none.
  return { partitions, living: data === null ? [] : data.toString().split('\n') }
}
