// The state of a stream in Redis, for comparison before and after.

import { Redis } from 'ioredis'
import { decodeProgress } from '../../services/core/stream/partition-progress.ts'
import { partitionKeys } from '../../services/platform/redis/keys.ts'
import { keysOf, PARTITION_COUNT, type TestStream } from './streams.ts'

/** Values of all keys but the epochs, by key, base64. */
export async function readState({ redisUrl, streamId }: TestStream): Promise<Map<string, string>> {
  const redis = new Redis(redisUrl)
  try {
    const keys = (await keysOf(redis, streamId)).filter((key) => !key.endsWith(':epoch'))
    const values = keys.length === 0 ? [] : await redis.mgetBuffer(keys)
    return new Map(keys.map((key, index) => [key, values[index]?.toString('base64') ?? '']))
  } finally {
    redis.disconnect()
  }
}

/** By partition, the offset of transactions up to which the state is complete; -1 without state. */
export async function readStateOffsets(stream: TestStream): Promise<readonly number[]> {
  const redis = new Redis(stream.redisUrl)
  try {
    const keys = Array.from(
      { length: PARTITION_COUNT },
      (_, partition) => partitionKeys(stream.streamId, partition).progress,
    )
    return (await redis.mget(keys)).map((text) => decodeProgress(text)?.nextOffset ?? -1)
  } finally {
    redis.disconnect()
  }
}
