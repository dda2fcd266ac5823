import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
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
