// What a failure of the Redis client means, as an error that says what to do.

import { SluiceError } from '../../core/errors.ts'
import { causesOf, tlsProblem } from '../tls-failure.ts'

const VARIABLES = {
  ca: 'SLUICE_REDIS_TLS_CA_FILE',
  cert: 'SLUICE_REDIS_TLS_CERT_FILE',
  on: 'SLUICE_REDIS_URL beginning with rediss://',
  off: 'SLUICE_REDIS_URL beginning with redis://',
} as const

/**
 * SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED when that is what stands behind the error; null when it is something
 * else, such as a Redis that is away.
 */
export function redisRefusal(error: unknown): SluiceError | null {
  for (const cause of causesOf(error)) {
    if (!(cause instanceof Error)) continue
    const denied = deniedBy(cause.message)
    if (denied !== null) {
      return new SluiceError('SLUICE_ACCESS_DENIED', `Redis refuses us: ${denied}.`, {
        cause: bareCause(error),
      })
    }
    const tls = tlsProblem(cause, VARIABLES)
    if (tls !== null) {
      return new SluiceError('SLUICE_TLS_FAILED', `No secure connection to Redis: ${tls}.`, {
        cause: bareCause(error),
      })
    }
  }
  return null
}

/** The error without what the client hangs on it: the arguments of a refused AUTH are the password. */
export function bareCause(error: unknown): Error {
  return new Error(error instanceof Error ? error.message : String(error))
}

function deniedBy(message: string): string | null {
  if (/WRONGPASS|invalid username-password|invalid password/.test(message)) {
    return 'user or password are not accepted; check SLUICE_REDIS_USERNAME and SLUICE_REDIS_PASSWORD'
  }
  if (/NOAUTH/.test(message)) {
    return 'it asks for a password; set SLUICE_REDIS_USERNAME and SLUICE_REDIS_PASSWORD'
  }
  if (/NOPERM|ACL failure in script|can't run this command or subcommand/.test(message)) {
    const command = /'([a-z|]+)' command/.exec(message)?.[1]
    const what = command === undefined ? 'a command or a key' : `the command ${command}`
    return `the right to ${what} is missing; grant what infra/security/redis-users.acl lists for this role`
  }
  return null
}
