// Reads the ends of a topic's log and a group's committed offsets from the broker.

import type { Admin } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { waitForLeader } from './wait-for-leader.ts'

/** Offsets that a partition holds: from `low` up to, but not including, `high`. */
export interface LogEnds {
  readonly low: number
  readonly high: number
}

/** The next offset is no longer, or not yet, in the log. */
export function offsetOutOfRange(
  topic: string,
  partition: number,
  offset: number,
  { low, high }: LogEnds,
): SluiceError {
  return new SluiceError(
    'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE',
    `${topic}-${partition} holds offsets ${low} to ${high}, but ${offset} is next to be decided. ` +
      'Messages would be skipped: raise the retention, or reset the group on purpose.',
    { details: { topic, partition, offset, low, high } },
  )
}

/** Ends of every partition of a topic, which may have been created a moment ago. */
export async function readLogEnds(
  admin: Admin,
  topic: string,
): Promise<ReadonlyMap<number, LogEnds>> {
  const offsets = await waitForLeader(() => admin.fetchTopicOffsets(topic))
  return new Map(
    offsets.map(({ partition, low, high }) => [
      partition,
      { low: Number(low), high: Number(high) },
    ]),
  )
}

/** Ends of one partition; 0 and 0 when the topic has no such partition. */
export async function readPartitionEnds(
  admin: Admin,
  topic: string,
  partition: number,
): Promise<LogEnds> {
  return (await readLogEnds(admin, topic)).get(partition) ?? { low: 0, high: 0 }
}

/** The ends of a partition, and the offset at a time. */
export interface LogSince extends LogEnds {
  /**
   * Offset of the first record of that time or later, `high` when there is none; null when the broker does not report
   * it.
   */
  readonly since: number | null
}

/** The ends of every partition, with its first offset at or after `sinceMs`. */
export async function readLogSince(
  admin: Admin,
  topic: string,
  sinceMs: number,
): Promise<ReadonlyMap<number, LogSince>> {
  // The ends are read last, so that none lies before the start.
  const starts = await waitForLeader(() =>
    admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, sinceMs)),
  )
  const ends = await readLogEnds(admin, topic)
  const since = new Map(starts.map(({ partition, offset }) => [partition, Number(offset)]))
  return new Map(
    [...ends].map(([partition, own]) => [
      partition,
      { ...own, since: since.get(partition) ?? null },
    ]),
  )
}

/** Committed offsets of a group; a partition without one is left out. */
export async function readCommittedOffsets(
  admin: Admin,
  groupId: string,
  topic: string,
): Promise<ReadonlyMap<number, number>> {
  const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
  return new Map(
    (found?.partitions ?? [])
      .map(({ partition, offset }) => [partition, Number(offset)] as const)
      .filter(([, offset]) => offset >= 0),
  )
}
