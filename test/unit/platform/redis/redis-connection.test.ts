// Goal: a password of Redis is used wherever it is given and shown nowhere. Method: every way to give it.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { EnvReader } from '../../../../services/platform/config/env-reader.ts'
import {
  loadRedisConnection,
  withoutPassword,
} from '../../../../services/platform/redis/redis-connection.ts'

const WORD = 'hunter2-hunter2'
/** Some PEM certificate; nobody connects with it. */
const AUTHORITY = join(import.meta.dirname, 'authority.pem')

function load(env: Record<string, string>): ReturnType<typeof loadRedisConnection> {
  const read = new EnvReader(env)
  const connection = loadRedisConnection(read)
  read.throwIfInvalid()
  return connection
}

function refused(env: Record<string, string>): string {
  try {
    load(env)
  } catch (error) {
    ok(isSluiceError(error, 'SLUICE_CONFIG_INVALID'))
    ok(!error.message.includes(WORD), error.message)
    return error.message
  }
  return ''
}

test('user and password are taken out of the URL, wherever they stand in it', () => {
  for (const url of [
    `redis://me:${WORD}@host:1/2`,
    `redis://host:1/2?username=me&password=${WORD}`,
    `redis://me@host:1/2?password=${WORD}`,
  ]) {
    const connection = load({ SLUICE_REDIS_URL: url })
    strictEqual(connection.url, 'redis://host:1/2', url)
    strictEqual(connection.security?.username, 'me')
    strictEqual(connection.security.password?.reveal(), WORD)
    ok(!JSON.stringify(connection).includes(WORD))
  }
  deepStrictEqual(load({ SLUICE_REDIS_URL: 'redis://host:1/2' }), { url: 'redis://host:1/2' })
})

test('any password comes back out of a URL as it was put in', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (word) => {
      const url = `redis://:${encodeURIComponent(word)}@host:1`
      const connection = load({ SLUICE_REDIS_URL: url })
      strictEqual(connection.security?.password?.reveal(), word)
      strictEqual(withoutPassword(url), 'redis://host:1')
    }),
  )
})

test('a password that is given twice, a user without one, and TLS files without TLS are refused', () => {
  const url = `redis://me:${WORD}@host:1`
  match(refused({ SLUICE_REDIS_URL: url, SLUICE_REDIS_PASSWORD: WORD }), /SLUICE_REDIS_PASSWORD/)
  match(refused({ SLUICE_REDIS_URL: url, SLUICE_REDIS_USERNAME: 'me' }), /SLUICE_REDIS_USERNAME/)
  match(refused({ SLUICE_REDIS_USERNAME: 'me' }), /without password/)
  match(refused({ SLUICE_REDIS_URL: `http://me:${WORD}@host` }), /not a Redis URL/)
  match(refused({ SLUICE_REDIS_TLS_CA_FILE: AUTHORITY }), /rediss:/)
})

test('a URL is shown without user, password and options, however oddly they are written', () => {
  for (const url of [
    `redis://u:${WORD}@h:1/0`,
    `redis://u:a@${WORD}@h:1/0`,
    `redis://u:a/${WORD}@h:1/0`,
    `redis://u:a?${WORD}@h:1/0`,
    `redis://h:1/0?password=${WORD}`,
  ]) {
    strictEqual(withoutPassword(url), 'redis://h:1/0', url)
  }
})
