// Dashboard "State and models": Redis, the correctness of features, and the model and backend that decide.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import {
  COLOURS,
  goodBelow,
  goodFrom,
  lines,
  stat,
  table,
  inRange,
  nonZero,
  policyInfo,
  quantile,
  rate,
  sum,
} from './panels.ts'

const DECISIONS = sum(rate('sluice_decisions_total'))
const REFUSED = 'max by (instance, backend, reason) (sluice_scoring_backend_refused) > 0'
/** Scorers that run and refused nothing. Without them, an empty table could also mean that no scorer reports. */
const NOTHING_REFUSED = `group by (instance) (sluice_scoring_backend_info) unless on (instance) (${REFUSED})`
/** Leaves out annotations about the transaction itself rather than the state of features. */
const STALE = 'sluice_decision_annotations_total{mark!~"duplicate|retry"}'
/** A duplicate gets its first decision again, so it needs no score. */
const NOT_SCORED = 'sluice_not_scored_total{reason!="duplicate"}'
const SCORE_STAGE = 'sluice_stage_duration_seconds{stage="score"}'

/** Differing values per million recomputed values of a feature. */
const SKEW = `1000000 * ${rate('sluice_skew_mismatches_total')} / (${rate('sluice_skew_values_compared_total')} > 0)`

/** Share of decisions with each value of the label; a flat "none" while there are no such decisions. */
function shareOfDecisions(metric: string, label: string): string {
  return nonZero(label, `${rate(metric)} / on() group_left() ${DECISIONS}`)
}

const summary = [
  stat({
    width: 6,
    title: 'Redis',
    description:
      'Whether every scorer is connected to Redis. Without it partitions decide without their state: annotated with ' +
      'degraded, and without blocks.',
    unit: units.NoUnit,
    steps: goodFrom(1),
    words: { 0: 'away', 1: 'connected' },
    queries: [{ expr: 'min(sluice_redis_up)', legend: 'redis' }],
  }),
  stat({
    width: 6,
    title: 'Keys evicted',
    description:
      'Keys that Redis evicted in this time range to free memory. Any eviction is a fault: histories are lost ' +
      'and features are absent. Redis must run with noeviction and enough memory.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [
      {
        expr: 'round(max(increase(sluice_redis_evicted_keys_total[$__range])))',
        legend: 'evicted',
      },
    ],
  }),
  stat({
    width: 6,
    title: 'Scoring backend',
    description:
      'Whether every scorer uses the expected backend (SLUICE_BACKEND_EXPECTED) and refused no installed one. A ' +
      'fallback decides the same but slower; the tables below say which and why.',
    unit: units.NoUnit,
    steps: goodBelow(1),
    words: { 0: 'as expected', 1: 'fallback' },
    queries: [{ expr: 'max(sluice_scoring_fallback)', legend: 'fallback' }],
  }),
  stat({
    width: 6,
    title: 'States rebuilt',
    description:
      'How often the state of a partition was applied again or rebuilt from the log in this time range. Expected after ' +
      'Redis lost data, and at no other time.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(10, 1),
    queries: [{ expr: `round(${sum(inRange('sluice_state_rebuilds_total'))})`, legend: 'rebuilt' }],
  }),
]

const redis = [
  lines({
    width: 12,
    title: 'Redis command time (p99)',
    description:
      'Time of one command as the scorer sees it, by operation, 99th percentile. Each batch waits for one read ' +
      'and one write. All rising together: Redis or the network is busy. Only read: more entities per batch.',
    unit: units.Seconds,
    queries: [
      {
        expr: quantile(0.99, 'sluice_redis_command_duration_seconds', ['operation']),
        legend: '{{operation}}',
      },
    ],
  }),
  lines({
    width: 12,
    title: 'Redis memory',
    description:
      'Memory in use, and the limit where Redis has one. It grows with the number of cards seen within the longest ' +
      'reach and then stays. At the limit writes fail and partitions decide without state: raise it earlier.',
    unit: units.BytesIEC,
    colours: { limit: COLOURS.bad },
    dashed: '/limit/',
    queries: [
      { expr: 'max(sluice_redis_used_memory_bytes)', legend: 'used' },
      { expr: 'max(sluice_redis_max_memory_bytes) > 0', legend: 'limit' },
    ],
  }),
]

const partitions = [
  lines({
    width: 8,
    title: 'Partitions without state',
    description:
      'Partitions that decide without their state now, since it is lost or Redis does not answer in time. They see ' +
      'each transaction by itself, annotate decisions with degraded, and block nothing. Zero is normal.',
    unit: units.Short,
    colours: { partitions: COLOURS.bad },
    queries: [{ expr: 'sum(sluice_partition_degraded)', legend: 'partitions' }],
  }),
  lines({
    width: 8,
    title: 'Age of the state',
    description:
      'Age of the oldest state of a partition; zero while every partition decides with an up-to-date state. It ' +
      'rises with time until the state is restored. Repeated returns to zero: Redis answers too late.',
    unit: units.Seconds,
    queries: [{ expr: 'max(sluice_state_age_seconds)', legend: 'age' }],
  }),
  lines({
    width: 8,
    title: 'States lost, and events restored',
    description:
      'States of a partition lost in each interval, by cause, and the transactions and labels that are replayed from ' +
      'the log each second. unanswered: Redis was too slow or away. Every other cause: Redis has lost data.',
    unit: units.Short,
    queries: [
      {
        expr: nonZero('cause', 'increase(sluice_state_losses_total[$__rate_interval])'),
        legend: '{{cause}}',
      },
      { expr: sum(rate('sluice_state_restored_events_total')), legend: 'events/s restored' },
    ],
  }),
]

const honesty = [
  lines({
    width: 12,
    title: 'Degraded or stale features',
    description:
      'Share of decisions by annotation of their features. degraded: the partition had no state; entity_lagging: ' +
      'another partition is behind, so its events are missing; windows_approximate: old events were merged; ' +
      'late, behind_reach and after_watermark: the payment came out of order. Decisions carry the same ' +
      'annotations. If a share grows, check the lag or the producer.',
    unit: units.PercentUnit,
    colours: { none: COLOURS.before },
    queries: [{ expr: shareOfDecisions(STALE, 'mark'), legend: '{{mark}}' }],
  }),
  lines({
    width: 12,
    title: 'Decided without a score, by reason',
    description:
      'Share of decisions for which the model gave no score, duplicates left out. Not scored is never score 0: the ' +
      'policy decides the outcome. "none" at zero is normal; model_unavailable and invalid_score are faults of the ' +
      'backend.',
    unit: units.PercentUnit,
    colours: { none: COLOURS.before },
    queries: [{ expr: shareOfDecisions(NOT_SCORED, 'reason'), legend: '{{reason}}' }],
  }),
]

const skew = [
  lines({
    width: 12,
    title: 'Features that differ from the log',
    description:
      'Of a million values that the skew meter recomputed from the log, the number that differ from the ' +
      'values of the decision, by feature. Only "none" at zero is good; an empty panel means that no meter runs ' +
      '(sluice skew). "sluice features" with the id of a decision shows which transactions should have counted.',
    unit: units.Short,
    colours: { none: COLOURS.before },
    queries: [
      {
        expr: nonZero('feature', SKEW),
        legend: '{{feature}}',
      },
    ],
  }),
  lines({
    width: 12,
    title: 'Values that could not be compared',
    description:
      'Share of the values of recomputed decisions by reason. degraded and expired depend on the state that could be ' +
      'read at the time; warming_up and message_gone mean that the log no longer holds the reach; outside_sample is ' +
      'outside the sample.',
    unit: units.PercentUnit,
    colours: { none: COLOURS.before },
    queries: [
      {
        expr: nonZero(
          'reason',
          `${rate('sluice_skew_values_not_compared_total')} / on() group_left() ` +
            `(${sum(rate('sluice_skew_values_not_compared_total'))} + ` +
            `${sum(rate('sluice_skew_values_compared_total'))})`,
        ),
        legend: '{{reason}}',
      },
    ],
  }),
]

const inference = [
  lines({
    width: 12,
    title: 'Inference time of a batch',
    description:
      'Time that the backend takes to score one batch. It depends on the batch size (dashboard Stream). Slower at the ' +
      'same size: check the annotations for a change of model or backend.',
    unit: units.Seconds,
    queries: [
      { expr: quantile(0.5, SCORE_STAGE), legend: 'p50' },
      { expr: quantile(0.99, SCORE_STAGE), legend: 'p99' },
    ],
  }),
  lines({
    width: 12,
    title: 'Scoring and feature time per transaction',
    description:
      'Mean time per decided transaction in the two stages that grow with the model and its features. Small batches ' +
      'cost more. Multiplied by the traffic, it gives the share of a core that each stage takes.',
    unit: units.Seconds,
    queries: ['features', 'score'].map((stage) => ({
      expr: `${sum(rate(`sluice_stage_duration_seconds_sum{stage="${stage}"}`))} / ${DECISIONS}`,
      legend: stage,
    })),
  }),
]

const inUse = [
  table({
    width: 16,
    title: 'Models, backends and policies in use',
    description:
      'The current model, backend and policy of each scorer. During a rollout two models or policies appear; ' +
      'afterwards every row should be the same. All dashboards annotate changes.',
    unit: units.NoUnit,
    columns: [
      ['instance', 'scorer'],
      ['model_version', 'model'],
      ['backend', 'backend'],
      ['mode', 'mode'],
      ['policy', 'policy'],
    ],
    queries: [
      {
        expr: 'max by (instance, backend, model_version) (sluice_scoring_backend_info)',
        legend: 'model',
      },
      { expr: `max by (instance, policy, mode) (${policyInfo()})`, legend: 'policy' },
    ],
  }),
  table({
    width: 8,
    title: 'Backends refused',
    description:
      'Backends that are installed on a machine but were refused, and why; "none" is good. A refused TensorFlow means ' +
      'that a faster library is installed but does not reproduce the model: repair or remove it.',
    unit: units.NoUnit,
    columns: [
      ['instance', 'scorer'],
      ['backend', 'backend'],
      ['reason', 'reason'],
    ],
    queries: [
      {
        expr: `${REFUSED} or label_replace(${NOTHING_REFUSED}, "backend", "none", "", "")`,
        legend: 'refused',
      },
    ],
  }),
]

export const stateAndModels: DashboardDefinition = dashboard({
  name: 'state-and-models',
  title: 'Sluice: State and models',
  description: 'Redis, freshness of features, and the model and backend that decide.',
  rows: [
    { height: 4, panels: summary },
    { height: 8, panels: redis },
    { height: 8, panels: partitions },
    { height: 8, panels: honesty },
    { height: 8, panels: skew },
    { height: 8, panels: inference },
    { height: 6, panels: inUse },
  ],
})
