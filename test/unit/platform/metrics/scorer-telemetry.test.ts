// Goal: each event changes the series that are named after it, and no other.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BatchReport,
  SEGMENT_VALUES_MAX,
} from '../../../../services/platform/metrics/batch-metrics.ts'
import {
  createScorerTelemetry,
  type ScorerTelemetry,
} from '../../../../services/platform/metrics/scorer-telemetry.ts'
import { seriesOf } from '../../../../services/cli/metrics-page.ts'
import { sampleOf } from './metric-text.ts'

const EMPTY: BatchReport = {
  transactions: 0,
  duplicates: 0,
  outcomes: { approve: 0, flag: 0, block: 0 },
  amountsMinor: { approve: 0, flag: 0, block: 0 },
  amountsWithoutRate: 0,
  scores: [],
  notScored: new Map(),
  annotations: new Map(),
  cascadeSample: { same: 0, different: 0 },
  alerts: [],
  labels: [],
  deadLetters: [],
  stagesMs: { decode: 0, read: 0, features: 0, score: 0, write: 0, commit: 0, total: 0 },
  eventToAlertMs: [],
  eventToScoreMs: null,
}

/** Our series that differ between two scrapes, as `name{labels}` with the new value; null for one that has ended. */
async function moved(
  telemetry: ScorerTelemetry,
  event: () => void,
): Promise<Readonly<Record<string, number | null>>> {
  const read = async () =>
    new Map(
      (await telemetry.registry.metrics())
        .split('\n')
        .filter((line) => line.startsWith('sluice_'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
    )
  const before = await read()
  event()
  const after = await read()
  const changes: Record<string, number | null> = {}
  for (const [series, value] of after) if (before.get(series) !== value) changes[series] = value
  for (const series of before.keys()) if (!after.has(series)) changes[series] = null
  return changes
}

test('a batch moves decisions, amounts in major units, annotations and what was not scored', async () => {
  const telemetry = createScorerTelemetry()
  const changes = await moved(telemetry, () => {
    telemetry.batchDecided({
      ...EMPTY,
      transactions: 4,
      duplicates: 1,
      outcomes: { approve: 2, flag: 0, block: 2 },
      amountsMinor: { approve: 1_050, flag: 0, block: 99 },
      amountsWithoutRate: 2,
      notScored: new Map([['duplicate', 1]]),
      annotations: new Map([
        ['duplicate', 1],
        ['entity_lagging', 3],
      ]),
      deadLetters: [{ topic: 'labels', reason: 'malformed' }],
    })
  })
  const counters = Object.entries(changes).filter(([series]) => series.includes('_total'))
  deepStrictEqual(Object.fromEntries(counters), {
    'sluice_decisions_total{outcome="approve"}': 2,
    'sluice_decisions_total{outcome="block"}': 2,
    'sluice_decided_amount_reference_total{outcome="approve"}': 10.5,
    'sluice_decided_amount_reference_total{outcome="block"}': 0.99,
    sluice_amount_without_rate_total: 2,
    sluice_duplicates_total: 1,
    'sluice_not_scored_total{reason="duplicate"}': 1,
    'sluice_decision_annotations_total{mark="duplicate"}': 1,
    'sluice_decision_annotations_total{mark="entity_lagging"}': 3,
    'sluice_dead_letters_total{topic="labels",reason="malformed"}': 1,
  })
  strictEqual(changes['sluice_batch_transactions_sum'], 4)
})

test('scores of a batch are in the histogram by their bucket', async () => {
  const telemetry = createScorerTelemetry()
  telemetry.batchDecided({ ...EMPTY, scores: [0.5, 0.97, 0] })
  telemetry.batchDecided({ ...EMPTY, scores: [1] })
  const text = await telemetry.registry.metrics()
  strictEqual(sampleOf(text, 'sluice_score_count'), 4)
  strictEqual(sampleOf(text, 'sluice_score_bucket', { le: '0.5' }), 2)
  strictEqual(sampleOf(text, 'sluice_score_bucket', { le: '0.98' }), 3)
  strictEqual(sampleOf(text, 'sluice_score_bucket', { le: '1' }), 4)
})

test('an alert moves its action, the feature of its first reason, and one value of each segment', async () => {
  const telemetry = createScorerTelemetry()
  const changes = await moved(telemetry, () => {
    telemetry.batchDecided({
      ...EMPTY,
      alerts: [
        {
          action: 'flag',
          firstReason: 'card_speed_kmh',
          segments: { country: 'FR', channel: 'pos', category: null },
        },
        {
          action: 'block',
          firstReason: null,
          segments: { country: null, channel: 'pos', category: '5411' },
        },
      ],
    })
  })
  const counters = Object.entries(changes).filter(([series]) => series.includes('_alert'))
  deepStrictEqual(Object.fromEntries(counters), {
    'sluice_alerts_total{action="flag"}': 1,
    'sluice_alerts_total{action="block"}': 1,
    'sluice_alert_reasons_total{feature="card_speed_kmh"}': 1,
    'sluice_alert_reasons_total{feature="none"}': 1,
    'sluice_alert_segments_total{segment="country",value="FR"}': 1,
    'sluice_alert_segments_total{segment="country",value="none"}': 1,
    'sluice_alert_segments_total{segment="channel",value="pos"}': 2,
    'sluice_alert_segments_total{segment="category",value="none"}': 1,
    'sluice_alert_segments_total{segment="category",value="5411"}': 1,
  })
})

test('segments beyond the limit, and what does not look like one, are counted as other', async () => {
  const telemetry = createScorerTelemetry()
  const alertIn = (category: string) => ({
    action: 'flag',
    firstReason: null,
    segments: { country: null, channel: null, category },
  })
  const categories = Array.from({ length: SEGMENT_VALUES_MAX + 10 }, (_, n) => String(1_000 + n))
  telemetry.batchDecided({
    ...EMPTY,
    alerts: [...categories, '4111111111111111', 'free text', '1000'].map(alertIn),
  })
  const series = seriesOf(await telemetry.registry.metrics(), 'sluice_alert_segments_total')
  const values = series.filter(({ labels }) => labels['segment'] === 'category')
  strictEqual(values.length, SEGMENT_VALUES_MAX + 1)
  strictEqual(values.find(({ labels }) => labels['value'] === 'other')?.value, 12)
  strictEqual(values.find(({ labels }) => labels['value'] === '1000')?.value, 2)
})

test('labels move what they met and how late they came; a negative delay is none', async () => {
  const telemetry = createScorerTelemetry()
  telemetry.batchDecided({
    ...EMPTY,
    labels: [
      { outcome: 'block', verdict: 'fraud', delayMs: 86_400_000 },
      { outcome: 'unknown', verdict: 'genuine', delayMs: -5 },
    ],
  })
  const text = await telemetry.registry.metrics()
  const met = seriesOf(text, 'sluice_labelled_decisions_total')
  deepStrictEqual(
    met.filter(({ value }) => value > 0).map(({ labels }) => labels),
    [
      { outcome: 'block', verdict: 'fraud' },
      { outcome: 'unknown', verdict: 'genuine' },
    ],
  )
  strictEqual(sampleOf(text, 'sluice_labels_applied_total'), 2)
  strictEqual(sampleOf(text, 'sluice_label_delay_seconds_sum'), 86_400)
  strictEqual(sampleOf(text, 'sluice_label_delay_seconds_bucket', { le: '0' }), 1)
})

test('lag and partition series follow their partition, and go when nothing true can be said', async () => {
  const telemetry = createScorerTelemetry()
  const seen = moved.bind(null, telemetry)
  deepStrictEqual(
    await seen(() => {
      telemetry.lagObserved(3, 40, 1.5)
      telemetry.inputObserved(3, 2.5)
      telemetry.partitionWorking(3, true)
    }),
    {
      'sluice_input_held_back_seconds{partition="3"}': 2.5,
      'sluice_lag_messages{partition="3"}': 40,
      'sluice_lag_seconds{partition="3"}': 1.5,
      'sluice_partition_up{partition="3"}': 1,
    },
  )
  deepStrictEqual(
    await seen(() => {
      telemetry.lagUnknown(3)
      telemetry.inputUnknown(3)
      telemetry.lagObservationFailed()
      telemetry.partitionWorking(3, false)
    }),
    {
      'sluice_input_held_back_seconds{partition="3"}': null,
      'sluice_lag_messages{partition="3"}': null,
      'sluice_lag_seconds{partition="3"}': null,
      sluice_lag_observation_failures_total: 1,
      'sluice_partition_up{partition="3"}': 0,
    },
  )
  deepStrictEqual(
    await seen(() => {
      telemetry.partitionReleased(3)
    }),
    { 'sluice_partition_up{partition="3"}': null },
  )
})

test('each failure of a partition moves its own counter', async () => {
  const telemetry = createScorerTelemetry()
  const changes = await moved(telemetry, () => {
    telemetry.writeFenced()
    telemetry.transactionFailed()
    telemetry.partitionRestarted()
    telemetry.partitionStopped('fenced')
    telemetry.stateRebuilt()
    telemetry.rebalanced(4)
  })
  deepStrictEqual(changes, {
    sluice_fenced_writes_total: 1,
    sluice_transaction_aborts_total: 1,
    sluice_partition_restarts_total: 1,
    'sluice_partition_stops_total{reason="fenced"}': 1,
    sluice_state_rebuilds_total: 1,
    sluice_rebalances_total: 1,
    sluice_partitions_assigned: 4,
  })
})

test('a fallback and refused backends are told, and are taken back', async () => {
  const telemetry = createScorerTelemetry()
  const seen = moved.bind(null, telemetry)
  const refusal = 'sluice_scoring_backend_refused{backend="tensorflow",reason="load_failed"}'
  deepStrictEqual(
    await seen(() => {
      telemetry.fallbackJudged(true, [{ backend: 'tensorflow', reason: 'load_failed' }])
    }),
    { sluice_scoring_fallback: 1, [refusal]: 1 },
  )
  deepStrictEqual(
    await seen(() => {
      telemetry.fallbackJudged(false, [])
    }),
    { sluice_scoring_fallback: 0, [refusal]: 0 },
  )
})

test('model and policy in force have one series each, also after a change', async () => {
  const telemetry = createScorerTelemetry()
  telemetry.backendChosen('cpu', '1')
  telemetry.backendChosen('wasm', '2')
  telemetry.policyInForce('abc', 'flag')
  telemetry.policyInForce('def', 'enforce')
  const text = await telemetry.registry.metrics()
  deepStrictEqual(seriesOf(text, 'sluice_scoring_backend_info'), [
    { labels: { backend: 'wasm', model_version: '2' }, value: 1 },
  ])
  deepStrictEqual(seriesOf(text, 'sluice_policy_info'), [
    { labels: { policy_digest: 'def', mode: 'enforce' }, value: 1 },
  ])
})

test('commands of Redis are counted and timed, and its memory is absent when it is not told', async () => {
  const telemetry = createScorerTelemetry()
  const memory = ['sluice_redis_used_memory_bytes', 'sluice_redis_max_memory_bytes'] as const
  const evicted = 'sluice_redis_evicted_keys_total'
  const read = async (): Promise<readonly (number | undefined)[]> => {
    const text = await telemetry.registry.metrics()
    return [...memory, evicted].map((name) => sampleOf(text, name))
  }
  telemetry.redisCalled('read', 4)
  telemetry.redisConnection(true)
  deepStrictEqual(await read(), [undefined, undefined, undefined])
  telemetry.redisObserved({ usedMemoryBytes: 10, maxMemoryBytes: 0, evictedKeys: 7 })
  telemetry.redisObserved({ usedMemoryBytes: 12, maxMemoryBytes: 0, evictedKeys: 7 })
  deepStrictEqual(await read(), [12, 0, 7])
  telemetry.redisObserved(null)
  deepStrictEqual(await read(), [undefined, undefined, undefined])
  const text = await telemetry.registry.metrics()
  strictEqual(sampleOf(text, 'sluice_redis_round_trips_total', { operation: 'read' }), 1)
  strictEqual(
    sampleOf(text, 'sluice_redis_command_duration_seconds_sum', { operation: 'read' }),
    0.004,
  )
  strictEqual(sampleOf(text, 'sluice_redis_up'), 1)
})

test('what the deciding model promises of its cascade is a gauge; a shadow, or a model of one net, promises nothing', async () => {
  const telemetry = createScorerTelemetry()
  const promised = async () =>
    sampleOf(await telemetry.registry.metrics(), 'sluice_cascade_agreement_at_least')
  const model = { version: '1', digest: 'a'.repeat(64), agreementAtLeast: 0.999 }
  telemetry.modelServes('active', model)
  strictEqual(await promised(), 0.999)
  telemetry.modelServes('shadow', { ...model, agreementAtLeast: 0.5 })
  strictEqual(await promised(), 0.999)
  telemetry.modelServes('active', { ...model, agreementAtLeast: null })
  strictEqual(await promised(), 0)
})
