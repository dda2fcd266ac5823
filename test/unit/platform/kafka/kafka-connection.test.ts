// Goal: contradictory settings of Kafka are refused by name, and failures name a remedy. Method: each relation with the
// one variable that breaks it; errors as kafkajs and Node create them.

import { match, ok, strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { EnvReader } from '../../../../services/platform/config/env-reader.ts'
import {
  loadKafkaConnection,
  sendsLoginInClear,
} from '../../../../services/platform/kafka/kafka-connection.ts'
import { kafkaAway, kafkaRefusal } from '../../../../services/platform/kafka/kafka-failure.ts'

const WORD = 'hunter2-hunter2'
/** Any PEM certificate; no connection uses it. */
const AUTHORITY = join(import.meta.dirname, '../redis/authority.pem')
const LOGIN = {
  SLUICE_KAFKA_SASL_MECHANISM: 'plain',
  SLUICE_KAFKA_SASL_USERNAME: 'user',
  SLUICE_KAFKA_SASL_PASSWORD: WORD,
}

function load(env: Record<string, string>): ReturnType<typeof loadKafkaConnection> {
  const read = new EnvReader(env)
  const connection = loadKafkaConnection(read)
  read.throwIfInvalid()
  return connection
}

function refused(env: Record<string, string>): string {
  try {
    load(env)
  } catch (error) {
    ok(isSluiceError(error, 'SLUICE_CONFIG_INVALID'))
    ok(!error.message.includes(WORD))
    return error.message
  }
  return ''
}

test('without settings Kafka is reached in plain text and without a login', () => {
  strictEqual(load({}).security, undefined)
  strictEqual(load({ SLUICE_KAFKA_TLS: 'false' }).security, undefined)
})

test('a login needs mechanism, user and password together', () => {
  strictEqual(load(LOGIN).security?.sasl?.password.reveal(), WORD)
  for (const name of Object.keys(LOGIN)) {
    match(refused({ ...LOGIN, [name]: '' }), new RegExp(name.replace('_MECHANISM', '')), name)
  }
})

test('files for TLS without TLS are a mistake, not a silent plain text', () => {
  const files = { SLUICE_KAFKA_TLS_CA_FILE: AUTHORITY }
  match(refused(files), /without SLUICE_KAFKA_TLS=true/)
  strictEqual(refused({ ...files, SLUICE_KAFKA_TLS: 'true' }), '')
})

test('a login in plain text is remarked upon, and only that', () => {
  strictEqual(sendsLoginInClear(load(LOGIN)), true)
  strictEqual(sendsLoginInClear(load({ ...LOGIN, SLUICE_KAFKA_TLS: 'true' })), false)
  strictEqual(sendsLoginInClear(load({})), false)
})

test('a refusal is found however deep the client has wrapped it', () => {
  const denied = Object.assign(new Error('Not authorized'), { type: 'TOPIC_AUTHORIZATION_FAILED' })
  const untrusted = Object.assign(new Error('x'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })
  const cases = [
    [denied, 'SLUICE_ACCESS_DENIED'],
    [new Error('a', { cause: new Error('b', { cause: denied }) }), 'SLUICE_ACCESS_DENIED'],
    [Object.assign(new Error('a'), { errors: [denied] }), 'SLUICE_ACCESS_DENIED'],
    [untrusted, 'SLUICE_TLS_FAILED'],
  ] as const
  for (const [error, code] of cases) ok(isSluiceError(kafkaRefusal(error), code))
  strictEqual(kafkaRefusal(new Error('Connection timeout')), null)
  strictEqual(kafkaRefusal(null), null)
  const loop: { cause?: unknown } = new Error('loop')
  loop.cause = loop
  strictEqual(kafkaRefusal(loop), null)
})

test('what the client gave up on becomes an error of ours, and other errors stay as they are', () => {
  const away = kafkaAway({ brokers: ['a:1'] }, new kafkajs.KafkaJSNonRetriableError('gone'))
  match(away?.message ?? '', /Kafka at a:1 does not answer \(gone\)/)
  strictEqual(kafkaAway({ brokers: [] }, new TypeError('a mistake of ours')), null)
})
