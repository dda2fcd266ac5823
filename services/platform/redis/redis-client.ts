// Opens every Redis client of services and commands: address, user, TLS and log.

import { Redis, type RedisOptions } from 'ioredis'
import { tlsOptions } from '../config/secrets.ts'
import type { Logger } from '../log.ts'
import type { RedisConnection } from './redis-connection.ts'
import { logRedisEvents } from './redis-log.ts'

/**
 * Opens a client that connects when `connect` is called. Its error events do not end the process: each command reports
 * its own failure.
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
