import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { createProducerTelemetry } from '../../../../services/platform/metrics/producer-telemetry.ts'
import { sampleOf } from './metric-text.ts'

const NAMES = [
  'sluice_produced_transactions_total',
  'sluice_produced_labels_total',
  'sluice_produced_acknowledged_total',
  'sluice_produced_behind_seconds',
]

test('counters of a producer follow the counts of its run', async () => {
  const telemetry = createProducerTelemetry()
  const read = async (): Promise<readonly (number | undefined)[]> => {
    const text = await telemetry.registry.metrics()
    return NAMES.map((name) => sampleOf(text, name))
  }
  deepStrictEqual(await read(), [0, 0, 0, 0])
  telemetry.produced({ transactions: 500, labels: 3, acknowledged: 400, behindMs: 1_500 })
  deepStrictEqual(await read(), [500, 3, 400, 1.5])
  telemetry.produced({ transactions: 900, labels: 4, acknowledged: 904, behindMs: 0 })
  deepStrictEqual(await read(), [900, 4, 904, 0])
})
