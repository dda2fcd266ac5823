// The one place that opens a Redis client: address, user, TLS and log of every service and command.

import { Redis, type RedisOptions } from 'ioredis'
import { tlsOptions } from '../config/secrets.ts'
import type { Logger } from '../log.ts'
import type { RedisConnection } from './redis-connection.ts'
import { logRedisEvents } from './redis-log.ts'

/**
 * Opens a client that connects when `connect` is called. Its error events end no process: each command reports its
 * own failure.
 */
export function openRedis(
  { url, security }: RedisConnection,
  options: Omit<RedisOptions, 'replyMapping'>,
  log?: Logger,
): Redis {
  const { username = null, password = null, tls = null } = security ?? {}
  const redis = new Redis(url, {
    ...options,
    lazyConnect: true,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password: password.reveal() }),
    ...(tls === null ? {} : { tls: tlsOptions(tls) }),
  })
  if (log === undefined) redis.on('error', () => undefined)
  else logRedisEvents(redis, log)
  return redis
}
