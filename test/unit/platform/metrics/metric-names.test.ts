// Goal: the list of metrics, the page about them and the metrics of processes are the same.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { metricsPage } from '../../../../tools/docs/write-metrics-page.ts'
import {
  createAlertsTelemetry,
  createCasesTelemetry,
  createEnforcerTelemetry,
  createForwardTelemetry,
  createReceiptsTelemetry,
} from '../../../../services/platform/metrics/alerts-telemetry.ts'
import { createGatewayTelemetry } from '../../../../services/platform/metrics/gateway-telemetry.ts'
import { createLakeTelemetry } from '../../../../services/platform/metrics/lake-telemetry.ts'
import {
  METRIC_JOBS,
  listMetrics,
  listSeriesNames,
} from '../../../../services/platform/metrics/metric-names.ts'
import { createBridgeTelemetry } from '../../../../services/platform/metrics/bridge-telemetry.ts'
import { createProducerTelemetry } from '../../../../services/platform/metrics/producer-telemetry.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'
import { createSkewTelemetry } from '../../../../services/platform/metrics/skew-telemetry.ts'
import { seriesOf } from '../../../../services/cli/metrics-page.ts'

const CREATE = {
  'sluice-scorer': createScorerTelemetry,
  'sluice-alerts': createAlertsTelemetry,
  'sluice-forward': createForwardTelemetry,
  'sluice-producer': createProducerTelemetry,
  'sluice-bridge': () => createBridgeTelemetry(() => 0),
  'sluice-skew': createSkewTelemetry,
  'sluice-lake': createLakeTelemetry,
  'sluice-enforcer': createEnforcerTelemetry,
  'sluice-receipts': () => createReceiptsTelemetry(1_000),
  'sluice-cases': createCasesTelemetry,
  'sluice-gateway': createGatewayTelemetry,
} as const

test('docs/metrics.md is what the code makes of itself; "npm run docs:metrics" writes it', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/metrics.md'), 'utf8')
  strictEqual(page, await metricsPage())
})

test('every series that a process exports at its start is listed, with labels that are listed', async () => {
  for (const job of METRIC_JOBS) {
    const text = await CREATE[job]().registry.metrics()
    const names = listSeriesNames(job)
    const exported = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^[a-z_0-9]+/.exec(line)?.[0] ?? line)
    deepStrictEqual(
      [...new Set(exported)].filter((name) => !names.has(name)),
      [],
      job,
    )
    for (const metric of listMetrics().filter((one) => one.job === job && !one.isDefault)) {
      ok(text.includes(`# TYPE ${metric.name} ${metric.type}\n`), metric.name)
      for (const { labels } of seriesOf(text, metric.name)) {
        deepStrictEqual(Object.keys(labels).toSorted(), Object.keys(metric.labels).toSorted())
      }
    }
  }
})

test('a metric whose labels are all closed lists has every series at 0 from the start', async () => {
  let looked = 0
  for (const job of METRIC_JOBS) {
    const text = await CREATE[job]().registry.metrics()
    for (const metric of listMetrics().filter((one) => one.job === job)) {
      const lists = Object.values(metric.labels)
      if (lists.length === 0 || lists.some((values) => typeof values === 'string')) continue
      const expected = lists.reduce((product, values) => product * values.length, 1)
      const suffix = metric.type === 'histogram' ? '_count' : ''
      const series = seriesOf(text, `${metric.name}${suffix}`)
      strictEqual(series.length, expected, metric.name)
      ok(
        series.every(({ value }) => value === 0),
        metric.name,
      )
      looked += 1
    }
  }
  ok(looked > 10)
})

test('every process says which build it is', async () => {
  const { version } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8'),
  ) as { readonly version: string }
  for (const job of METRIC_JOBS) {
    const text = await CREATE[job]().registry.metrics()
    deepStrictEqual(seriesOf(text, 'sluice_build_info'), [{ labels: { version }, value: 1 }])
  }
})
