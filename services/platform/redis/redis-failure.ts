// Translates a failure of the Redis client into an error that says what to do.

import { SluiceError } from '../../core/errors.ts'
import { probePort } from '../probe-port.ts'
import { causesOf, tlsProblem } from '../tls-failure.ts'
import { withoutPassword, type RedisConnection } from './redis-connection.ts'

const VARIABLES = {
  ca: 'SLUICE_REDIS_TLS_CA_FILE',
  cert: 'SLUICE_REDIS_TLS_CERT_FILE',
  off: 'let SLUICE_REDIS_URL begin with redis://',
} as const

const PORT_DEFAULT = 6_379
const GREETING = Buffer.from('PING\r\n')

/**
 * Returns SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED if that is the cause of the error; null for other causes, such as
 * an unavailable Redis.
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

/** The error without the properties that the client adds: the arguments of a refused AUTH are the password. */
export function bareCause(error: unknown): Error {
  return new Error(error instanceof Error ? error.message : String(error))
}

/** As `redisRefusal`. If the client only reports that there is no connection, the port is probed for its protocol. */
export async function explainRedis(
  { url }: RedisConnection,
  ...errors: readonly unknown[]
): Promise<SluiceError | null> {
  const refusal = redisRefusal(errors)
  if (refusal !== null || !URL.canParse(url)) return refusal
  const { hostname, port } = new URL(url)
  const isTls = url.startsWith('rediss:')
  const probe = await probePort(hostname, Number(port || PORT_DEFAULT), GREETING)
  if (probe === 'nothing' || (probe === 'plain' && !isTls)) return null
  const problem =
    probe === 'plain'
      ? `does not speak TLS; ${VARIABLES.off}`
      : isTls
        ? `ends the connection after the TLS handshake; it may want another certificate of ours (${VARIABLES.cert})`
        : `speaks TLS only; let SLUICE_REDIS_URL begin with rediss://, and set ${VARIABLES.ca} for an authority of your own`
  return new SluiceError('SLUICE_TLS_FAILED', `Redis at ${withoutPassword(url)} ${problem}.`, {
    cause: bareCause(errors[0]),
  })
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
