// Where the log of a topic begins and ends, and how far a group has come, as the broker says.

import type { Admin } from 'kafkajs'
import { onceLed } from './once-led.ts'

/** Offsets that a partition holds: from `low` up to but without `high`. */
export interface LogEnds {
  readonly low: number
  readonly high: number
}

/** Ends of every partition of a topic. */
export async function readLogEnds(
  admin: Admin,
  topic: string,
): Promise<ReadonlyMap<number, LogEnds>> {
  const offsets = await onceLed(() => admin.fetchTopicOffsets(topic))
  return new Map(
    offsets.map(({ partition, low, high }) => [
      partition,
      { low: Number(low), high: Number(high) },
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
