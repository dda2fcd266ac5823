// Goal: the scorer's metrics are correct. Method: a scorer on a simulated stream; its /metrics are compared with sums
// over the sent messages and over the committed output. Redis is unavailable for a part of the stream.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import { listMetrics } from '../../services/platform/metrics/metric-names.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { LONG_SESSION, openStream, simulatedEvents } from '../support/streams.ts'
import { seriesOf } from '../../services/cli/metrics-page.ts'
import { sampleOf } from '../unit/platform/metrics/metric-text.ts'

const OUTCOMES = ['approve', 'flag', 'block'] as const
/** Changed by starting, not by deciding. */
const MOVED_AT_START = /^sluice_(redis|scoring|policy|build)_|^sluice_cascade_agreement_at_least$/

function kindOf<Kind extends ProducedEvent['kind']>(
  events: readonly ProducedEvent[],
  kind: Kind,
): readonly Extract<ProducedEvent, { kind: Kind }>[] {
  return events.filter((event): event is Extract<ProducedEvent, { kind: Kind }> => {
    return event.kind === kind
  })
}

function decisionsOf(outputs: Outputs): readonly DecisionRecord[] {
  return outputs.decisionBatches.flatMap(({ batch }) => batch.decisions)
}

/** Sums by key. */
function sums<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  amountOf: (item: Item) => number = () => 1,
): Readonly<Record<string, number>> {
  const result: Record<string, number> = {}
  for (const item of items) result[keyOf(item)] = (result[keyOf(item)] ?? 0) + amountOf(item)
  return result
}

/** The values of a counter by one or two of its labels, zeros left out. */
function counted(text: string, name: string, ...labels: readonly string[]) {
  const moved = seriesOf(text, name).filter(({ value }) => value !== 0)
  return sums(
    moved,
    (sample) => labels.map((label) => sample.labels[label]).join(' '),
    ({ value }) => value,
  )
}

async function metricsOf(scorer: ScorerProcess): Promise<string> {
  return (await scorer.page('/metrics')).body
}

/** A batch is counted after its commit is answered; a read-committed consumer may see it earlier. */
async function counts(scorer: ScorerProcess, decisions: number): Promise<void> {
  await eventually(`${decisions} decisions are counted`, async () => {
    return (await scorer.metric('sluice_decisions_total')) === decisions
  })
}

test('every series with closed labels is exported at 0 before the first message', async (t) => {
  const stream = await openStream(t, 'zeros')
  const scorer = await startScorer(t, stream.patientEnvironment())
  const text = await metricsOf(scorer)
  for (const { name, type, labels, job, isDefault } of listMetrics()) {
    const lists = Object.values(labels)
    if (job !== 'sluice-scorer' || isDefault || lists.some((one) => typeof one === 'string'))
      continue
    const series = seriesOf(text, type === 'histogram' ? `${name}_count` : name)
    const expected = lists.reduce((product, values) => product * values.length, 1)
    if (/^sluice_redis_(used|max|evicted)/.test(name)) continue // reported by the first INFO
    strictEqual(series.length, expected, name)
    if (
      MOVED_AT_START.test(name) ||
      /rebalances|^sluice_partitions_assigned$|^sluice_stream_partitions$/.test(name)
    )
      continue
    ok(
      series.every(({ value }) => value === 0),
      name,
    )
  }
  strictEqual(sampleOf(text, 'sluice_scoring_fallback'), 0)
  strictEqual(seriesOf(text, 'sluice_policy_info')[0]?.labels['mode'], 'flag')
  await eventually('Redis tells its memory', async () => {
    return (await scorer.metric('sluice_redis_used_memory_bytes')) > 0
  })
  await eventually(
    'all partitions are up',
    async () => (await scorer.metric('sluice_partition_up')) === 4,
  )
})

test('metrics of amounts, scores, reasons and labels equal an independent count', async (t) => {
  const stream = await openStream(t, 'counts')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(3_000)
  const transactions = kindOf(events, 'transaction')
  const labels = kindOf(events, 'label')
  const strangers = labels.slice(0, 5).map((event) => ({
    ...event,
    label: { ...event.label, transactionId: `never-seen-${event.label.transactionId}` },
  }))
  const scorer = await startScorer(t, stream.patientEnvironment({ SLUICE_MODE: 'enforce' }))
  // Duplicates, whose amounts must not count twice.
  await stream.send([...transactions, ...transactions.slice(-20)])
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  await stream.send([...labels, ...strangers])
  await eventually('all labels are applied', async () => {
    const applied = await scorer.metric('sluice_labels_applied_total')
    return applied === labels.length + strangers.length
  })
  await outputs.readToEnd()
  const decisions = decisionsOf(outputs)
  await counts(scorer, decisions.length)
  const first = decisions.filter(({ duplicateOfOffset }) => duplicateOfOffset === null)
  const outcomeOf = new Map(first.map(({ transactionId, outcome }) => [transactionId, outcome]))
  const text = await metricsOf(scorer)

  strictEqual(first.length, transactions.length)
  const amounts = counted(text, 'sluice_decided_amount_reference_total', 'outcome')
  const expected = sums(
    transactions,
    ({ transaction }) => outcomeOf.get(transaction.id) ?? '',
    ({ transaction: { amountMinor, currency, eventTimeMs } }) =>
      DEFAULT_RATES.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN,
  )
  for (const outcome of OUTCOMES) {
    ok((expected[outcome] ?? 0) > 0, `the stream has no ${outcome}`)
    strictEqual(Math.round((amounts[outcome] ?? 0) * 100), expected[outcome], outcome)
  }

  const scored = decisions.filter(({ score }) => score !== null)
  strictEqual(sampleOf(text, 'sluice_score_count'), scored.length)
  strictEqual(
    sampleOf(text, 'sluice_score_bucket', { le: '0.5' }),
    scored.filter(({ score }) => (score ?? 1) <= 0.5).length,
  )
  deepStrictEqual(counted(text, 'sluice_not_scored_total', 'reason'), { duplicate: 20 })
  deepStrictEqual(
    counted(text, 'sluice_decision_annotations_total', 'mark'),
    sums(
      decisions.flatMap(({ annotations }) => annotations),
      (mark) => mark,
    ),
  )

  // Later revisions of an alert by leases repeat its reasons and are counted by cause.
  const alerts = outputs.alerts.filter(
    ({ cause }) => cause === null || cause === 'late_transaction',
  )
  deepStrictEqual(
    counted(text, 'sluice_alert_reasons_total', 'feature'),
    sums(alerts, ({ reasons }) => reasons[0]?.feature ?? 'none'),
  )
  const byId = new Map(transactions.map(({ transaction }) => [transaction.id, transaction]))
  deepStrictEqual(
    counted(text, 'sluice_alert_segments_total', 'segment', 'value'),
    sums(
      alerts.flatMap(({ transactionId }) => {
        const { country, channel, merchantCategory } = byId.get(transactionId) ?? {}
        return [`country ${country ?? 'none'}`, `channel ${channel ?? 'none'}`].concat(
          `category ${merchantCategory ?? 'none'}`,
        )
      }),
      (segment) => segment,
    ),
  )

  deepStrictEqual(
    counted(text, 'sluice_labelled_decisions_total', 'outcome', 'verdict'),
    sums(
      [...labels, ...strangers],
      ({ label }) => `${outcomeOf.get(label.transactionId) ?? 'unknown'} ${label.verdict}`,
    ),
  )
  strictEqual(sampleOf(text, 'sluice_label_delay_seconds_count'), labels.length + strangers.length)
})

test('decisions continue as degraded while Redis is away, and use state again when it is back', async (t) => {
  const stream = await openStream(t, 'away')
  const outputs = followOutputs(t, stream)
  const redis = await openRedisProxy(t, stream.redisUrl)
  // A partition reassigned while Redis is away is counted again: a pause of a busy machine must not cause that.
  const environment = stream.patientEnvironment({ SLUICE_REDIS_URL: redis.url, ...LONG_SESSION })
  const scorer = await startScorer(t, environment)
  const transactions = kindOf(await simulatedEvents(800), 'transaction')
  await stream.send(transactions.slice(0, 300))
  await outputs.until('the first decisions', () => outputs.isCaughtUp)
  await eventually('every partition is seen to have its state', async () => {
    const seen = seriesOf(await metricsOf(scorer), 'sluice_partition_degraded')
    return seen.length === 4 && seen.every(({ value }) => value === 0)
  })
  redis.sever()
  await stream.send(transactions.slice(300, 600))
  await outputs.until('decisions without state', () => outputs.isCaughtUp)
  await counts(scorer, 600)
  const text = await metricsOf(scorer)
  strictEqual(sampleOf(text, 'sluice_redis_up'), 0)
  strictEqual(await scorer.metric('sluice_decision_annotations_total', 'mark="degraded"'), 300)
  strictEqual(await scorer.metric('sluice_state_losses_total', 'cause="unanswered"'), 4)
  strictEqual(await scorer.metric('sluice_partition_up'), 4)
  await eventually('every partition is seen to be without', async () => {
    const ages = seriesOf(await metricsOf(scorer), 'sluice_state_age_seconds')
    return (
      (await scorer.metric('sluice_partition_degraded')) === 4 &&
      ages.every(({ value }) => value > 0)
    )
  })
  await eventually('nothing is said of its memory', async () => {
    return seriesOf(await metricsOf(scorer), 'sluice_redis_used_memory_bytes').length === 0
  })
  redis.mend()
  await eventually('every partition has its state again', async () => {
    return (await scorer.metric('sluice_partition_degraded')) === 0
  })
  strictEqual(await scorer.metric('sluice_state_age_seconds'), 0)
  ok((await scorer.metric('sluice_state_restored_events_total')) >= 300)
  await stream.send(transactions.slice(600))
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  await counts(scorer, 800)
  strictEqual(await scorer.metric('sluice_decision_annotations_total', 'mark="degraded"'), 300)
})

test('an unexpected backend is reported in the log, the metrics and the readiness page', async (t) => {
  const stream = await openStream(t, 'fallback')
  const environment = { SLUICE_BACKEND: 'cpu', SLUICE_BACKEND_EXPECTED: 'wasm' }
  const scorer = await startScorer(t, stream.patientEnvironment(environment))
  strictEqual(await scorer.metric('sluice_scoring_fallback'), 1)
  await scorer.logged('Scoring runs on a fallback backend.')
  const { body } = await scorer.page('/readyz')
  ok(body.includes('"isOnFallback":true') && body.includes('"backendExpected":"wasm"'), body)
})
