// What the Redis client says, as lines of our log: one when the connection is lost, one when it is back, and each
// kind of error once in between, however often the client tries.

import type { Redis } from 'ioredis'
import { systemClock } from '../clock.ts'
import { type Logger, LogLimit } from '../log.ts'

/** The same error is written at most once in this time. */
const REPEAT_MS_MIN = 60_000

/** The events of ioredis that are followed. */
type Followed = Pick<Redis, 'on'>

/**
 * Logs changes of the connection. It also listens to `error`, without which an error would end the process. Being
 * closed on purpose is no loss and is not logged.
 */
export function logRedisEvents(
  redis: Followed,
  log: Logger,
  monotonicMs: () => number = () => systemClock.monotonicMs(),
): void {
  let limit = new LogLimit(REPEAT_MS_MIN)
  let awaySinceMs: number | null = null
  let attempts = 0
  redis.on('error', (error: Error & { readonly code?: string }) => {
    const leftOut = limit.admit(error.code ?? error.message, monotonicMs())
    if (leftOut === null) return
    log.warn({ error, ...(leftOut === 0 ? {} : { leftOut }) }, 'The Redis client has met an error.')
  })
  // Said after a connection was lost and before each attempt, and not when the connection is closed on purpose.
  redis.on('reconnecting', () => {
    attempts += 1
    if (awaySinceMs !== null) return
    awaySinceMs = monotonicMs()
    log.warn({}, 'The connection to Redis is lost; commands fail until it is back.')
  })
  redis.on('ready', () => {
    if (awaySinceMs !== null) {
      const awayMs = Math.round(monotonicMs() - awaySinceMs)
      log.info({ awayMs, attempts }, 'The connection to Redis is back.')
    }
    awaySinceMs = null
    attempts = 0
    limit = new LogLimit(REPEAT_MS_MIN)
  })
}
