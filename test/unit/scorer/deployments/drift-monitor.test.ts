import { deepStrictEqual, ok } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import type { TrainingDistribution } from '../../../../services/core/scoring/training-distribution.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'
import type { DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import { DriftMonitor } from '../../../../services/scorer/deployments/drift-monitor.ts'
import { seriesOf } from '../../../../services/cli/metrics-page.ts'
import { digestOf } from './named-model.ts'

const HALF = { edges: [10], shares: [0.5, 0.5, 0] }
const POPULATION: TrainingDistribution = {
  rows: 10,
  features: FEATURE_NAMES.map(() => HALF),
  score: HALF,
}

/** Rows in which every value is the row's number; the score is a tenth of it. */
function batchOf(values: readonly number[], change: object = {}): DecidedBatch {
  const features = new Float64Array(values.length * FEATURE_COUNT)
  for (const [row, value] of values.entries()) {
    features.fill(value, row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT)
  }
  const decisions = values.map((value) => ({
    score: value / 10,
    revision: 0,
    duplicateOfOffset: null,
    ...change,
  }))
  return { decisions, features } as unknown as DecidedBatch
}

function setUp(t: TestContext) {
  const telemetry = createScorerTelemetry()
  const meter = new DriftMonitor(telemetry)
  t.after(() => meter.close())
  const bins = async (feature: string, name = 'sluice_feature_values_total') =>
    seriesOf(await telemetry.registry.metrics(), name)
      .filter(({ labels }) => labels['feature'] === feature)
      .map(({ labels, value }) => [labels['bin'], value])
  return { meter, bins, telemetry }
}

test('values are counted by bin, absent ones apart, and every bin is there from the start', async (t) => {
  const { meter, bins } = setUp(t)
  meter.begin({ digest: digestOf('one'), trainingDistribution: POPULATION })
  deepStrictEqual(await bins('amount'), [
    ['0', 0],
    ['1', 0],
    ['absent', 0],
  ])
  meter.count(batchOf([5, 10, 11, NaN]))
  meter.tell()
  deepStrictEqual(await bins('amount'), [
    ['0', 2],
    ['1', 1],
    ['absent', 1],
  ])
  deepStrictEqual(await bins('score'), [
    ['0', 3],
    ['1', 0],
    ['absent', 1],
  ])
  deepStrictEqual(await bins('amount', 'sluice_feature_training_share'), [
    ['0', 0.5],
    ['1', 0.5],
    ['absent', 0],
  ])
})

test('of a large batch a part is looked at, evenly', async (t) => {
  const { meter, bins } = setUp(t)
  meter.begin({ digest: digestOf('one'), trainingDistribution: POPULATION })
  meter.count(batchOf(Array.from({ length: 1_000 }, (_, row) => (row < 500 ? 1 : 20))))
  meter.tell()
  const counts = (await bins('amount')).map(([, value]) => Number(value))
  const [low = 0, high = 0] = counts
  ok(low + high > 50 && low + high <= 64 && Math.abs(low - high) <= 2, counts.join(', '))
})

test('duplicates and revisions are no part of the population', async (t) => {
  const { meter, bins } = setUp(t)
  meter.begin({ digest: digestOf('one'), trainingDistribution: POPULATION })
  meter.count(batchOf([1, 2], { revision: 1 }))
  meter.count(batchOf([1, 2], { duplicateOfOffset: 7 }))
  meter.tell()
  deepStrictEqual(
    (await bins('amount')).map(([, value]) => value),
    [0, 0, 0],
  )
})

test('another model begins its own series, and the other one ends', async (t) => {
  const { meter, bins, telemetry } = setUp(t)
  meter.begin({ digest: digestOf('one'), trainingDistribution: POPULATION })
  meter.count(batchOf([1]))
  meter.begin({ digest: digestOf('two'), trainingDistribution: POPULATION })
  deepStrictEqual(
    (await bins('amount')).map(([, value]) => value),
    [0, 0, 0],
  )
  const series = seriesOf(await telemetry.registry.metrics(), 'sluice_feature_values_total')
  deepStrictEqual(
    [...new Set(series.map(({ labels }) => labels['model']))],
    [digestOf('two').slice(0, 12)],
  )
})
