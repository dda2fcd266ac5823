// Connection settings of Redis: address, user and TLS, as every service and command reads them from the environment.

import type { EnvReader } from '../config/env-reader.ts'
import { hasTlsFiles, readSecret, readTlsFiles, Secret, type TlsFiles } from '../config/secrets.ts'
import { VARIABLES } from '../config/variables.ts'

const USERNAME_CHARACTERS_MAX = 256

/** Credentials of the client, and the authorities it trusts. */
export interface RedisSecurity {
  /** Null means Redis' default user. */
  readonly username: string | null
  readonly password: Secret | null
  /** Files for a rediss:// address; null means the system's authorities. */
  readonly tls: TlsFiles | null
}

/** Settings to connect to a Redis. The URL has no user and no password, so it may be shown. */
export interface RedisConnection {
  readonly url: string
  readonly security?: RedisSecurity | undefined
}

/** Reads SLUICE_REDIS_*; problems are collected in `read` and never show the URL. */
export function loadRedisConnection(read: EnvReader): RedisConnection {
  const { url, username, password } = splitUrl(read, read.value('SLUICE_REDIS_URL'))
  const user = read.textIfSet('SLUICE_REDIS_USERNAME')
  const secret = readSecret(read, 'SLUICE_REDIS_PASSWORD', 'SLUICE_REDIS_PASSWORD_FILE')
  const files = readTlsFiles(read, {
    ca: 'SLUICE_REDIS_TLS_CA_FILE',
    cert: 'SLUICE_REDIS_TLS_CERT_FILE',
    key: 'SLUICE_REDIS_TLS_KEY_FILE',
  })
  const isTls = url.startsWith('rediss://')
  read.check(
    username === null || user === null,
    'SLUICE_REDIS_USERNAME is set and SLUICE_REDIS_URL has a user, too; give one of them.',
  )
  read.check(
    password === null || secret === null,
    'SLUICE_REDIS_PASSWORD or SLUICE_REDIS_PASSWORD_FILE is set and SLUICE_REDIS_URL has a password, too; ' +
      'give one of them.',
  )
  read.check(
    (user ?? username) === null || (secret ?? password) !== null,
    'A user of Redis is given without password; set SLUICE_REDIS_PASSWORD or SLUICE_REDIS_PASSWORD_FILE.',
  )
  read.check(
    (user?.length ?? 0) <= USERNAME_CHARACTERS_MAX,
    `SLUICE_REDIS_USERNAME has more than ${USERNAME_CHARACTERS_MAX} characters; shorten it.`,
  )
  read.check(
    isTls || !hasTlsFiles(files),
    'SLUICE_REDIS_TLS_CA_FILE, SLUICE_REDIS_TLS_CERT_FILE or SLUICE_REDIS_TLS_KEY_FILE is set, but ' +
      'SLUICE_REDIS_URL does not begin with rediss://; change it, or unset them.',
  )
  const security = {
    username: user ?? username,
    password: secret ?? password,
    tls: hasTlsFiles(files) ? files : null,
  }
  const isPlain = security.username === null && security.password === null && security.tls === null
  return isPlain ? { url } : { url, security }
}

interface SplitUrl {
  readonly url: string
  readonly username: string | null
  readonly password: Secret | null
}

/** Removes user and password from the URL, wherever the client would accept them. */
function splitUrl(read: EnvReader, text: string): SplitUrl {
  const nothing = { url: text, username: null, password: null }
  if (!/^rediss?:\/\/[^/]/.test(text) || !URL.canParse(text)) {
    read.check(false, 'SLUICE_REDIS_URL is not a Redis URL; for example redis://127.0.0.1:6379.')
    return { ...nothing, url: VARIABLES.SLUICE_REDIS_URL.default }
  }
  const url = new URL(text)
  const username = decode(url.username) || url.searchParams.get('username') || null
  const password = decode(url.password) || url.searchParams.get('password') || null
  if (username === null && password === null) return nothing
  url.username = ''
  url.password = ''
  url.searchParams.delete('username')
  url.searchParams.delete('password')
  return {
    url: url.toString(),
    username,
    password: password === null ? null : new Secret(password),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The URL in a form that may be shown: without user, password and options. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/.*@/, '//').replace(/[?#].*$/, '')
}
