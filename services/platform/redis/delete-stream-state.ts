// Removes the state of a finished stream, such as a demo's or a benchmark's.

import type { Redis } from 'ioredis'
import { streamKeyPattern } from './keys.ts'

const SCAN_COUNT = 1_000

/** Deletes every key of the stream, a bounded number at a time. */
export async function deleteStreamState(redis: Redis, streamId: string): Promise<void> {
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(
      cursor,
      'MATCH',
      streamKeyPattern(streamId),
      'COUNT',
      SCAN_COUNT,
    )
    if (keys.length > 0) await redis.unlink(...keys)
    cursor = next
  } while (cursor !== '0')
}
