// Goal: the status line shows the sums of the scorer's metrics. Method: the scorer's own telemetry writes them.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseScorerNumbers, statusText } from '../../../../tools/demo/status-line.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'

test('figures are summed over outcomes, partitions and reasons', async () => {
  const telemetry = createScorerTelemetry()
  telemetry.batchDecided({
    transactions: 6,
    labels: [],
    duplicates: 0,
    outcomes: { approve: 3, flag: 2, block: 1 },
    amountsMinor: { approve: 0, flag: 0, block: 0 },
    amountsWithoutRate: 0,
    scores: [],
    notScored: new Map(),
    annotations: new Map(),
    cascadeSample: { same: 0, different: 0 },
    alerts: [],
    deadLetters: [
      { topic: 'transactions', reason: 'malformed' },
      { topic: 'labels', reason: 'empty' },
    ],
    stagesMs: { decode: 0, read: 0, features: 0, score: 0, write: 0, commit: 0, total: 0 },
    eventToAlertMs: [],
    eventToScoreMs: null,
  })
  telemetry.lagObserved(0, 40, 1)
  telemetry.lagObserved(1, 2, 1)
  deepStrictEqual(parseScorerNumbers(await telemetry.registry.metrics()), {
    decisions: 6,
    lagMessages: 42,
    deadLetters: 2,
  })
})

test('a scorer that has decided nothing yet has counted nothing, and its lag is unknown', () => {
  deepStrictEqual(parseScorerNumbers(''), { decisions: 0, lagMessages: null, deadLetters: 0 })
})

test('the status line names every figure, and says none where there is none', () => {
  const status = {
    eventsPerSecond: 299.6,
    lagMessages: 12,
    deadLetters: 0,
    p99Ms: null,
    flags: 3,
    blocks: 1,
    eventTimeMs: null,
  }
  strictEqual(
    statusText(status),
    '300 events/s | lag 12 | p99 event to alert none | 4 alerts (1 block)',
  )
  ok(statusText({ ...status, lagMessages: null }).includes('| lag unknown |'))
  strictEqual(
    statusText({ ...status, p99Ms: 41, deadLetters: 2, eventTimeMs: Date.UTC(2025, 0, 2, 3, 4) }),
    '300 events/s | lag 12 | p99 event to alert 41 ms | 4 alerts (1 block) | 2 dead letters | ' +
      'event time 2025-01-02T03:04',
  )
})
