// Logs events of the Redis client: one line when the connection is lost, one when it is back, and each kind of error
// once in between, however often the client retries.

import type { Redis } from 'ioredis'
import { systemClock } from '../clock.ts'
import { type Logger, LogLimit } from '../log.ts'

/** Minimum time between two lines for the same error. */
const REPEAT_MS_MIN = 60_000

/** The events of ioredis that are logged. */
type Followed = Pick<Redis, 'on'>

/**
 * Logs changes of the connection. It also listens to `error`, since an unhandled error would end the process. An
 * intentional close is not logged.
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
    log.warn(
      { error, ...(leftOut === 0 ? {} : { leftOut }) },
      'The Redis client reported an error.',
    )
  })
  // Emitted after a connection was lost and before each attempt, but not after an intentional close.
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
