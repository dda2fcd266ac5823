import type { Admin } from 'kafkajs'
import { readCommittedOffsets, readLogEnds } from '../../services/platform/kafka/log-ends.ts'

/** True when the group has committed the end of each partition. */
export async function hasReadAll(admin: Admin, groupId: string, topic: string): Promise<boolean> {
  const ends = await readLogEnds(admin, topic)
  const offsets = await readCommittedOffsets(admin, groupId, topic)
  return [...ends].every(([partition, { high }]) => offsets.get(partition) === high)
}
