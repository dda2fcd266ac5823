// Panels of the dashboard "Stream" about blocks: how long they take to be applied, what enforcers answer, and which
// blocks have no answer.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import {
  COLOURS,
  goodBelow,
  goodFrom,
  inRange,
  lines,
  nonZero,
  quantile,
  rate,
  stat,
  sum,
} from './panels.ts'

export const acting = [
  lines({
    width: 8,
    title: 'Time to block',
    description:
      'From the record of a transaction, and from its decision, to the moment at which a subscriber applied the block: ' +
      '99th percentile, with the objective dashed. Far apart: the decision was slow. Close: the subscriber is.',
    unit: units.Seconds,
    dashed: 'objective',
    queries: [
      { expr: quantile(0.99, 'sluice_time_to_block_seconds'), legend: 'from the record' },
      { expr: quantile(0.99, 'sluice_decision_to_block_seconds'), legend: 'from the decision' },
      { expr: 'max(sluice_block_objective_seconds)', legend: 'objective' },
    ],
  }),
  lines({
    width: 8,
    title: 'Receipts',
    description:
      'Receipts for blocks and releases a second, by status. refused: the subscriber refused. too_late: the ' +
      'lease was over when the alert came, as with replayed past traffic.',
    unit: units.EventsPerSecond,
    queries: [
      { expr: sum(rate('sluice_receipts_total'), ['status']), legend: '{{status}}' },
      { expr: sum(rate('sluice_receipt_faults_total')), legend: 'did not count' },
    ],
  }),
  lines({
    width: 8,
    title: 'Blocks without receipt',
    description:
      'Blocks and releases that wait for a receipt, and those beyond the time limit. Zero is good for the ' +
      'latter; otherwise check whether the enforcer runs.',
    unit: units.Short,
    queries: [
      { expr: 'sum(sluice_blocks_waiting)', legend: 'waiting' },
      { expr: 'sum(sluice_blocks_without_receipt)', legend: 'too long' },
    ],
  }),
]

// Panels of the dashboard "Stream" about the lake: the lag of its writer, what it writes, and whether its checks pass.

/** Lag at which the alert fires. */
const LAKE_BEHIND_S = 900

export const lake = [
  lines({
    width: 8,
    title: 'Lake behind its topics',
    description:
      'Age of the oldest message that no file of the lake contains, by table; the worst partition counts. Up to ' +
      'the time between two flushes (a minute) is good. A rising line: the writer is down or too slow, or a ' +
      'batch fails its checks. The dashed line is the limit of the alert.',
    unit: units.Seconds,
    limits: [LAKE_BEHIND_S],
    queries: [{ expr: 'max by (table) (sluice_lake_lag_seconds)', legend: '{{table}}' }],
  }),
  lines({
    width: 8,
    title: 'Written to the lake',
    description:
      'Rows per second that were written and committed, by table. It rises in steps, one for each flush. Nothing ' +
      'while there is traffic: check whether the writer follows the topics, and its lag.',
    unit: units.EventsPerSecond,
    isStacked: true,
    queries: [{ expr: sum(rate('sluice_lake_rows_total'), ['table']), legend: '{{table}}' }],
  }),
  lines({
    width: 8,
    title: 'Failed checks of the lake',
    description:
      'Checks per second that failed and kept a batch out, by check; only "none" at zero is good, and an empty panel ' +
      'means that no writer runs. The batch is read from the topics again; docs/lake.md describes each check.',
    unit: units.Short,
    colours: { none: COLOURS.before },
    queries: [
      {
        expr: nonZero('check', rate('sluice_lake_checks_total{status="failed"}')),
        legend: '{{check}}',
      },
    ],
  }),
]

export const lakeFiles = [
  lines({
    width: 12,
    title: 'Newest file of the lake',
    description:
      'Time since the newest file of each table was made. Labels and dead letters may be rare; transactions and decisions ' +
      'get a file a minute while there is traffic.',
    unit: units.Seconds,
    queries: [
      { expr: 'min by (table) (sluice_lake_newest_file_age_seconds)', legend: '{{table}}' },
    ],
  }),
  lines({
    width: 12,
    title: 'Files of the lake',
    description:
      'Files by table. They grow by a few a flush and fall when days are compacted; a steady rise calls for ' +
      '--compact-every, or sluice lake compact from time to time.',
    unit: units.Short,
    queries: [{ expr: 'max by (table) (sluice_lake_files)', legend: '{{table}}' }],
  }),
]

// Dashboard "Stream": whether the scorers keep up, how soon alerts come, and what disturbed the stream.

/** The objective: this share of alerts within this time, from the input record to the committed alert. */
const ALERT_OBJECTIVE_S = 0.15
const ALERT_OBJECTIVE_SHARE = 0.99
/** From the input record to its score, p99. */
const SCORE_OBJECTIVE_S = 0.02
/** Burn rates over 1 h and 6 h that use up 2 % and 5 % of a 30-day budget. */
const BURN_RATE_LIMITS = [6, 14.4]
const BURN_WINDOWS = ['5m', '1h', '6h']

/** Delay of a target at which the alert fires. */
const TARGET_LATE_S = 600

const ALERT = 'sluice_event_to_alert_seconds'
const STAGE = 'sluice_stage_duration_seconds'
/** In the order in which a batch goes through them. */
const STAGES = ['decode', 'read', 'features', 'score', 'write', 'commit']

function burnRate(window: string): string {
  const inTime = sum(`rate(${ALERT}_bucket{le="${ALERT_OBJECTIVE_S}"}[${window}])`)
  const all = sum(`rate(${ALERT}_count[${window}])`)
  const budget = (1 - ALERT_OBJECTIVE_SHARE).toFixed(2)
  return `(1 - ${inTime} / ${all}) / ${budget}`
}

const summary = [
  stat({
    width: 6,
    title: 'Alerts within 150 ms',
    description:
      'The objective: 99 % of alerts are committed within 150 ms of the input record. Share in this time range. ' +
      'Below it, see which stage below is slow, or whether alerts waited in a lag.',
    unit: units.PercentUnit,
    decimals: 2,
    steps: goodFrom(ALERT_OBJECTIVE_SHARE),
    queries: [
      {
        expr: `${sum(inRange(`${ALERT}_bucket{le="${ALERT_OBJECTIVE_S}"}`))} / ${sum(inRange(`${ALERT}_count`))}`,
        legend: 'in time',
      },
    ],
  }),
  stat({
    width: 6,
    title: 'Oldest waiting transaction',
    description:
      'Age of the oldest transaction that is not decided yet, over all partitions. Above a few seconds alerts ' +
      'come too late to stop anything: add scorers up to the number of partitions, or see why partitions start over.',
    unit: units.Seconds,
    steps: goodBelow(30, 5),
    queries: [{ expr: 'max(sluice_lag_seconds)', legend: 'oldest' }],
  }),
  stat({
    width: 6,
    title: 'Partitions at work',
    description:
      'Share of the partitions that decide; the others start over or wait for Kafka or Redis. Below 100 % for more than ' +
      'a few seconds: check the interruptions below and the log of the scorer.',
    unit: units.PercentUnit,
    decimals: 0,
    steps: goodFrom(1),
    queries: [{ expr: 'sum(sluice_partition_up) / count(sluice_partition_up)', legend: 'at work' }],
  }),
  stat({
    width: 6,
    title: 'Dead letters',
    description:
      'Messages of this time range that could not be decided. Each has a reason (below) and is in the topic ' +
      'dead-letters with its position; "sluice dead-letters" shows them.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [{ expr: `round(${sum(inRange('sluice_dead_letters_total'))})`, legend: 'dead' }],
  }),
]

const lag = [
  lines({
    width: 8,
    title: 'Throughput',
    description:
      'Per second: decisions, labels applied, and the alerts among the decisions. Decisions that stop while lag ' +
      'grows: the scorers are stuck. Both at zero: no producer sends.',
    unit: units.EventsPerSecond,
    queries: [
      { expr: sum(rate('sluice_decisions_total')), legend: 'decisions' },
      { expr: sum(rate('sluice_labels_applied_total')), legend: 'labels' },
      { expr: sum(rate('sluice_alerts_total')), legend: 'alerts' },
    ],
  }),
  lines({
    width: 8,
    title: 'Lag in messages per partition',
    description:
      'Transactions in Kafka that are not decided yet. It should stay near what arrives in one batch. One partition ' +
      'alone: it has a fault, or one card is very busy. All of them: too few scorers.',
    unit: units.Short,
    queries: [
      { expr: 'max by (partition) (sluice_lag_messages)', legend: 'partition {{partition}}' },
    ],
  }),
  lines({
    width: 8,
    title: 'Lag in seconds per partition',
    description:
      'Age of the oldest transaction that is not decided yet. This is the delay of an alert, which the lag in ' +
      'messages does not show. A line that ends: no scorer owns the partition, or the broker does not answer.',
    unit: units.Seconds,
    queries: [
      { expr: 'max by (partition) (sluice_lag_seconds)', legend: 'partition {{partition}}' },
    ],
  }),
]

const latency = [
  lines({
    width: 8,
    title: 'Event to alert',
    description:
      'From the input record to the committed alert, and to its receipt by a subscriber. The dashed ' +
      'line is the objective for p99: 150 ms. Alerts are few, so single slow ones show in p99.',
    unit: units.Seconds,
    limits: [ALERT_OBJECTIVE_S],
    queries: [
      { expr: quantile(0.5, ALERT), legend: 'p50' },
      { expr: quantile(0.99, ALERT), legend: 'p99' },
      { expr: quantile(0.99, 'sluice_event_to_alert_visible_seconds'), legend: 'p99 subscriber' },
    ],
  }),
  lines({
    width: 8,
    title: 'Event to score',
    description:
      'From the oldest input record of a batch to its score, without the wait for the commit. The dashed line is ' +
      'the objective for p99: 20 ms. Above it with little lag: reading state or the model is slow.',
    unit: units.Seconds,
    limits: [SCORE_OBJECTIVE_S],
    queries: [
      { expr: quantile(0.5, 'sluice_event_to_score_seconds'), legend: 'p50' },
      { expr: quantile(0.99, 'sluice_event_to_score_seconds'), legend: 'p99' },
    ],
  }),
  lines({
    width: 8,
    title: 'Time of a batch by stage',
    description:
      'Mean time of one batch, stacked by stage; the height is the whole batch. read and write are Redis, commit is ' +
      'Kafka, the others are computation. Examine the thickest layer first.',
    unit: units.Seconds,
    isStacked: true,
    queries: STAGES.map((stage) => ({
      expr: `${sum(rate(`${STAGE}_sum{stage="${stage}"}`))} / ${sum(rate(`${STAGE}_count{stage="${stage}"}`))}`,
      legend: stage,
    })),
  }),
]

const budget = [
  lines({
    width: 8,
    title: 'Burn rate of the alert objective',
    description:
      'Consumption rate of the error budget (1 % of alerts later than 150 ms): at 1 it lasts exactly the 30 ' +
      'days. Dashed: ' +
      '14.4 over 1 h uses 2 % of it, 6 over 6 h uses 5 %. Act when the short and the long window agree; a short ' +
      'peak alone has passed.',
    unit: units.Short,
    limits: BURN_RATE_LIMITS,
    queries: BURN_WINDOWS.map((window) => ({ expr: burnRate(window), legend: `over ${window}` })),
  }),
  lines({
    width: 8,
    title: 'Transactions per batch',
    description:
      'Size of the micro-batches; a batch takes what has arrived, at most 512 live. Sizes that climb to the cap ' +
      'mean that the scorer is at its limit, before lag shows it.',
    unit: units.Short,
    queries: [
      { expr: quantile(0.5, 'sluice_batch_transactions'), legend: 'p50' },
      { expr: quantile(0.99, 'sluice_batch_transactions'), legend: 'p99' },
    ],
  }),
  lines({
    width: 8,
    title: 'Dead letters by reason',
    description:
      'Messages per second that could not be decided, by reason; "none" at zero is good. malformed or ' +
      'unknown_schema after a release: a producer changed. wrong_partition: a producer with another partitioner.',
    unit: units.EventsPerSecond,
    isStacked: true,
    colours: { none: COLOURS.before },
    queries: [{ expr: nonZero('reason', rate('sluice_dead_letters_total')), legend: '{{reason}}' }],
  }),
]

const interruptions = [
  ['sluice_rebalances_total', 'rebalances'],
  ['sluice_transaction_aborts_total', 'aborted transactions'],
  ['sluice_fenced_writes_total', 'fenced writes'],
  ['sluice_partition_restarts_total', 'partitions started over'],
  ['sluice_partition_stops_total', 'partitions stopped for good'],
] as const

const disturbances = [
  lines({
    width: 12,
    title: 'Rebalances, aborts and fenced writes',
    description:
      'How often each happened per interval. A rebalance at a deployment is normal, and so are the restarts with ' +
      'it. A fenced write means that the fence refused an old owner. Aborts without a rebalance: the broker is slow ' +
      'or unavailable. A partition that stopped for good needs a person.',
    unit: units.Short,
    queries: interruptions.map(([metric, legend]) => ({
      expr: sum(`increase(${metric}[$__rate_interval])`),
      legend,
    })),
  }),
  lines({
    width: 12,
    title: 'Duplicates',
    description:
      'Share of transactions whose id was decided before; each gets its first decision again and changes nothing. ' +
      'Some are normal (retries of producers). A jump means that a producer resends old transactions.',
    unit: units.PercentUnit,
    queries: [
      {
        expr: `${sum(rate('sluice_duplicates_total'))} / ${sum(rate('sluice_decisions_total'))}`,
        legend: 'duplicates',
      },
    ],
  }),
]

const TARGET_ATTEMPTS = 'sluice_forward_attempts_total'

const forwarding = [
  lines({
    width: 8,
    title: 'Requests to targets',
    description:
      'Requests of the forwarder per second, by result. 2xx is an accepted alert. timeout, no_connection and 5xx ' +
      'are retried; 4xx and 3xx mostly are not, and their alerts become dead letters.',
    unit: units.RequestsPerSecond,
    isStacked: true,
    queries: [
      { expr: sum(rate(TARGET_ATTEMPTS), ['target', 'result']), legend: '{{target}} {{result}}' },
    ],
  }),
  lines({
    width: 8,
    title: 'Oldest alert that waits for a target',
    description:
      'Time since the decision of the oldest alert that a target has not accepted. Near zero is good. One rising ' +
      'line: that target is down or too slow; the others do not wait for it. The dashed line is the limit of the ' +
      'alert.',
    unit: units.Seconds,
    limits: [TARGET_LATE_S],
    queries: [
      {
        expr: 'max by (target) (sluice_forward_oldest_undelivered_seconds)',
        legend: '{{target}}',
      },
    ],
  }),
  lines({
    width: 8,
    title: 'Given up, and circuits open',
    description:
      'Alerts per second that a target did not accept (dead letters), and targets whose circuit is open: 1 means that ' +
      'only probes are sent to it and its alerts wait. Both at zero is good.',
    unit: units.Short,
    queries: [
      {
        expr: sum(rate('sluice_forward_dead_letters_total'), ['target']),
        legend: 'given up {{target}}',
      },
      { expr: 'max by (target) (sluice_forward_circuit_open)', legend: 'circuit {{target}}' },
    ],
  }),
]

export const stream: DashboardDefinition = dashboard({
  name: 'stream',
  title: 'Sluice: Stream',
  description: 'Lag of the scorers, latency of alerts, and disturbances.',
  rows: [
    { height: 4, panels: summary },
    { height: 8, panels: lag },
    { height: 8, panels: latency },
    { height: 8, panels: budget },
    { height: 8, panels: acting },
    { height: 7, panels: disturbances },
    { height: 7, panels: forwarding },
    { height: 7, panels: lake },
    { height: 6, panels: lakeFiles },
  ],
})
