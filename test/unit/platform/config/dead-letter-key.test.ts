// Goal: hashes in dead letters of a production cluster never use the public key of this source.

import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { loadReceiptsConfig } from '../../../../services/alerts/receipts/config.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { loadScorerConfig } from '../../../../services/scorer/config.ts'

const TLS = { SLUICE_KAFKA_TLS: 'true' }
const LOGIN = {
  SLUICE_KAFKA_SASL_MECHANISM: 'plain',
  SLUICE_KAFKA_SASL_USERNAME: 'sluice',
  SLUICE_KAFKA_SASL_PASSWORD: 'a password',
}

for (const load of [loadScorerConfig, loadReceiptsConfig]) {
  test(`${load.name}: the built-in key is told apart, and refused with TLS or a login`, () => {
    const own = { SLUICE_DEAD_LETTER_HMAC_KEY: 'a key of our own' }
    deepStrictEqual(
      // Compose passes an empty value for an unset variable.
      [{}, { SLUICE_DEAD_LETTER_HMAC_KEY: '' }, own].map((env) => load(env).hasBuiltInHmacKey),
      [true, true, false],
    )
    for (const secured of [TLS, LOGIN]) {
      for (const key of [{}, { SLUICE_DEAD_LETTER_HMAC_KEY: 'sluice-development' }]) {
        throws(
          () => load({ ...secured, ...key }),
          (error) =>
            isSluiceError(error, 'SLUICE_CONFIG_INVALID') &&
            error.message.includes('built-in development key'),
        )
      }
      deepStrictEqual(load({ ...secured, ...own }).hasBuiltInHmacKey, false)
    }
  })
}

test('the group of a stream carries its prefix, unless one is given', () => {
  const groupOf = (env: Record<string, string>): string => loadScorerConfig(env).groupId
  deepStrictEqual(
    [
      groupOf({}),
      groupOf({ SLUICE_TOPIC_PREFIX: 'bank.' }),
      groupOf({ SLUICE_TOPIC_PREFIX: 'bank.', SLUICE_GROUP_ID: 'own' }),
    ],
    ['sluice-scorer', 'bank.sluice-scorer', 'own'],
  )
})
