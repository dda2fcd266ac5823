// A database of Redis for one test alone, which it may empty.

import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { claimDatabase } from './claims.ts'
import { closeWith } from './cleanup.ts'

const DATABASES = 16

export interface OwnDatabase {
  readonly redis: Redis
  readonly redisUrl: string
}

/** An unused database, emptied again afterwards. @throws Error when all are in use. */
export async function openDatabase(t: TestContext, serverUrl: string): Promise<OwnDatabase> {
  for (let database = DATABASES - 1; database > 0; database -= 1) {
    const claim = await claimDatabase(database)
    if (claim === null) continue
    const redis = new Redis(serverUrl, { db: database })
    // Existing data may be in use, on a server that was given, or left by a killed test.
    if ((await redis.dbsize()) > 0) {
      redis.disconnect()
      await claim.release()
      continue
    }
    closeWith(t, async () => {
      await redis.flushdb()
      redis.disconnect()
      await claim.release()
    })
    const url = new URL(serverUrl)
    url.pathname = `/${database}`
    return { redis, redisUrl: url.href }
  }
  throw new Error('Every database of Redis is in use; empty one for this test.')
}
