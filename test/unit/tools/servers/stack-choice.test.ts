import { deepStrictEqual, match, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError, SluiceError } from '../../../../services/core/errors.ts'
import { withoutPassword } from '../../../../services/platform/redis/redis-connection.ts'
import { readGivenAddresses } from '../../../../tools/servers/stack-choice.ts'

test('without variables nothing is given', () => {
  deepStrictEqual(readGivenAddresses({}), {
    brokers: null,
    kafkaSecurity: undefined,
    redisUrl: null,
    redisSecurity: undefined,
    provider: 'auto',
  })
})

test('brokers and Redis are given each by its own variable', () => {
  const given = readGivenAddresses({ SLUICE_KAFKA_BROKERS: 'a:1, [::1]:2' })
  deepStrictEqual(given.brokers, ['a:1', '[::1]:2'])
  strictEqual(given.redisUrl, null)
  strictEqual(readGivenAddresses({ SLUICE_REDIS_URL: 'rediss://u:p@h:1/0' }).brokers, null)
})

test('every bad variable is named at once, and a password is not repeated', () => {
  throws(
    () =>
      readGivenAddresses({
        SLUICE_KAFKA_BROKERS: 'a:1,http://b',
        SLUICE_REDIS_URL: 'user:hunter2@host',
        SLUICE_STACK_PROVIDER: 'podman',
      }),
    (error) => {
      strictEqual(isSluiceError(error, 'SLUICE_CONFIG_INVALID'), true)
      const { message } = error as SluiceError
      match(message, /"http:\/\/b"/)
      match(message, /SLUICE_REDIS_URL/)
      match(message, /"podman"/)
      strictEqual(message.includes('hunter2'), false)
      return true
    },
  )
})

test('user and password of a Redis URL are never shown', () => {
  strictEqual(withoutPassword('redis://user:hunter2@host:1/0'), 'redis://host:1/0')
  strictEqual(withoutPassword('redis://host:1'), 'redis://host:1')
})
