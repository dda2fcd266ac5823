import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
import { parseDurationMs } from '../../../services/producer/config.ts'
import { loadProducerConfig } from '../../../services/producer/index.ts'

test('an empty environment means a local broker, no prefix and the schema files', () => {
  deepStrictEqual(loadProducerConfig({}), {
    brokers: ['127.0.0.1:19092'],
    topicPrefix: '',
    registryUrl: null,
    metricsHost: '127.0.0.1',
  })
})

test('brokers are a list, and an empty list is an error that names the variable', () => {
  deepStrictEqual(loadProducerConfig({ SLUICE_KAFKA_BROKERS: 'a:1, b:2' }).brokers, ['a:1', 'b:2'])
  throws(
    () => loadProducerConfig({ SLUICE_KAFKA_BROKERS: ' , ' }),
    (error) =>
      isSluiceError(error, 'SLUICE_CONFIG_INVALID') &&
      error.message.includes('SLUICE_KAFKA_BROKERS'),
  )
})

test('durations are read with their unit, and refused without one', () => {
  const cases: readonly [string, number | null][] = [
    ['500ms', 500],
    ['45s', 45_000],
    ['1.5m', 90_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['7', null],
    ['-1s', null],
    ['1 h', null],
    ['7w', null],
    ['', null],
  ]
  for (const [text, durationMs] of cases) strictEqual(parseDurationMs(text), durationMs, text)
})
