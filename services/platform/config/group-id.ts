// The consumer group of a stream's scorers.

import type { EnvReader } from './env-reader.ts'

/**
 * SLUICE_GROUP_ID, or a name with the stream's prefix. Two streams on one cluster in one group would be given each other's
 * partitions.
 */
export function readGroupId(read: EnvReader, topicPrefix: string): string {
  return read.value('SLUICE_GROUP_ID') ?? `${topicPrefix}sluice-scorer`
}
