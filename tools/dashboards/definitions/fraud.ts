// Panels of the dashboard "Fraud" about blocks: how many cards are blocked, how blocks end, and how many are capped.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import {
  bars,
  COLOURS,
  goodBelow,
  heatmap,
  inRange,
  lines,
  NEUTRAL,
  OUTCOME_COLOURS,
  rate,
  stat,
  sum,
  table,
} from './panels.ts'

const GUARDED =
  'sluice_decision_annotations_total{mark=~"breaker_open|control_group|leases_full|over_capacity"}'

export const blocks = [
  stat({
    width: 3,
    title: 'Breakers open',
    description:
      'Breakers of all partitions that have tripped: their blocks are flags until a person resets them ' +
      '("sluice breaker reset"). Zero is good.',
    unit: units.Short,
    steps: goodBelow(1),
    queries: [{ expr: 'sum(sluice_breakers_open)', legend: 'open' }],
  }),
  lines({
    width: 6,
    title: 'Cards blocked',
    description:
      'Cards with an active block. It rises with a wave of fraud, and falls as leases end.',
    unit: units.Short,
    queries: [{ expr: 'sum(sluice_leases_live)', legend: 'blocked' }],
  }),
  lines({
    width: 8,
    title: 'How blocks end',
    description:
      'Leases that ended a second, by cause, and those that new evidence extended. Many releases by genuine labels or ' +
      'people mean wrong blocks. Unreadable: records of the lease topic, which should be none.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: sum(rate('sluice_leases_released_total{cause!="unknown"}'), ['cause']),
        legend: '{{cause}}',
      },
      { expr: sum(rate('sluice_leases_extended_total')), legend: 'extended' },
      { expr: sum(rate('sluice_leases_unreadable_total')), legend: 'unreadable' },
    ],
  }),
  lines({
    width: 7,
    title: 'Outcomes made milder',
    description:
      'Decisions a second that the breaker, control group, limit of leases or daily alert budget made milder ' +
      'than the policy, and caps that tripped a breaker. Zero is normal, except for a control group.',
    unit: units.EventsPerSecond,
    queries: [
      { expr: sum(rate(GUARDED), ['mark']), legend: '{{mark}}' },
      { expr: sum(rate('sluice_breaker_trips_total'), ['cap']), legend: 'tripped by {{cap}}' },
    ],
  }),
]

// Dashboard "Fraud": the decisions, their amounts and reasons, and how often they turned out right.

const ALL = 'sluice_decisions_total'
const ALERTED = 'sluice_decisions_total{outcome=~"flag|block"}'
const BLOCKED = 'sluice_decisions_total{outcome="block"}'
const AMOUNT = 'sluice_decided_amount_reference_total'
const LABELLED = 'sluice_labelled_decisions_total'
const TOP_REASONS = 10
const TOP_VALUES = 4
const SECONDS_PER_HOUR = 3_600

function share(part: string, offset = ''): string {
  const shifted = (series: string): string =>
    sum(`rate(${series}[$__rate_interval]${offset === '' ? '' : ` offset ${offset}`})`)
  return `${shifted(part)} / ${shifted(ALL)}`
}

/**
 * The share a week earlier; without that much history a day earlier, or else an hour. The label `before` says which.
 */
function shareBefore(part: string): string {
  return ['1w', '1d', '1h']
    .map((offset) => `label_replace(${share(part, offset)}, "before", "${offset}", "", "")`)
    .join(' or on() ')
}

function precision(window: string): string {
  const labels = (matchers: string): string =>
    sum(`increase(${LABELLED}{outcome=~"flag|block"${matchers}}[${window}])`, ['outcome'])
  return `${labels(', verdict="fraud"')} / ${labels('')}`
}

function topValues(segment: string): string {
  const counts = sum(inRange(`sluice_alert_segments_total{segment="${segment}"}`), ['value'])
  return `topk(${TOP_VALUES}, ${counts} > 0)`
}

const summary = [
  stat({
    width: 6,
    title: 'Alerts among decisions',
    description:
      'Share of the decisions in this time range that became a flag or a block. Compare with the curve below: a ' +
      'jump without a change of model or policy means either an attack or broken input.',
    unit: units.PercentUnit,
    decimals: 2,
    steps: NEUTRAL,
    queries: [{ expr: `${sum(inRange(ALERTED))} / ${sum(inRange(ALL))}`, legend: 'alerts' }],
  }),
  stat({
    width: 6,
    title: 'Amount blocked',
    description:
      'Sum of the payments blocked in this time range, in euro by the rate table of the scorer. Blocked is not ' +
      'saved: see the precision below for how much of it was fraud.',
    unit: units.Euro,
    decimals: 0,
    steps: NEUTRAL,
    queries: [{ expr: sum(inRange(`${AMOUNT}{outcome="block"}`)), legend: 'blocked' }],
  }),
  stat({
    width: 6,
    title: 'Blocks that were fraud',
    description:
      'Of the blocks whose label arrived in this time range, the share labelled fraud. It describes payments that ' +
      'were decided one label delay ago, not current ones. Without labels there is no value.',
    unit: units.PercentUnit,
    decimals: 1,
    steps: NEUTRAL,
    queries: [
      {
        expr: `${sum(inRange(`${LABELLED}{outcome="block",verdict="fraud"}`))} / ${sum(inRange(`${LABELLED}{outcome="block"}`))}`,
        legend: 'precision',
      },
    ],
  }),
  stat({
    width: 6,
    title: 'Decided without a score',
    description:
      'Share of decisions for which the model gave no score, duplicates left out; the policy then decides. It should ' +
      'be zero: the dashboard State and models has the reasons.',
    unit: units.PercentUnit,
    decimals: 2,
    steps: goodBelow(0.001),
    queries: [
      {
        expr: `${sum(inRange('sluice_not_scored_total{reason!="duplicate"}'))} / ${sum(inRange(ALL))}`,
        legend: 'not scored',
      },
    ],
  }),
]

const rates = [
  lines({
    width: 12,
    title: 'Decisions by outcome',
    description:
      'Decisions per second, stacked. The height is the traffic. A fall to zero while producers send means that the ' +
      'scorer is stuck: continue with the dashboard Stream.',
    unit: units.EventsPerSecond,
    isStacked: true,
    colours: OUTCOME_COLOURS,
    queries: ['approve', 'flag', 'block'].map((outcome) => ({
      expr: sum(rate(`${ALL}{outcome="${outcome}"}`)),
      legend: outcome,
    })),
  }),
  lines({
    width: 12,
    title: 'Alert and block rate against the same hour before',
    description:
      'Share of decisions that alert (flag or block) and that block, now and at the same time a week before (1w). ' +
      'Without a week of history in Prometheus it is a day (1d) or an hour (1h) before; the legend says which. ' +
      'Now far above before: an attack, a new model, or input that changed. Far below: labels or features are missing.',
    unit: units.PercentUnit,
    dashed: '/before/',
    colours: {
      'alerts now': COLOURS.flag,
      'blocks now': COLOURS.block,
      '/alerts .* before/': COLOURS.flag,
      '/blocks .* before/': COLOURS.block,
    },
    queries: [
      { expr: share(ALERTED), legend: 'alerts now' },
      { expr: share(BLOCKED), legend: 'blocks now' },
      { expr: shareBefore(ALERTED), legend: 'alerts {{before}} before' },
      { expr: shareBefore(BLOCKED), legend: 'blocks {{before}} before' },
    ],
  }),
]

const money = [
  lines({
    width: 12,
    title: 'Amount blocked and passed per hour',
    description:
      'Value of the decided payments in euro per hour, stacked. Approved and flagged payments pass, blocked ones ' +
      'do not. First decisions only: a duplicate is not counted again. Payments in a currency without a rate are missing.',
    unit: units.Euro,
    isStacked: true,
    colours: {
      'passed (approve)': COLOURS.approve,
      'passed (flag)': COLOURS.flag,
      blocked: COLOURS.block,
    },
    queries: [
      ['approve', 'passed (approve)'],
      ['flag', 'passed (flag)'],
      ['block', 'blocked'],
    ].map(([outcome = '', legend = '']) => ({
      expr: `${sum(rate(`${AMOUNT}{outcome="${outcome}"}`))} * ${SECONDS_PER_HOUR}`,
      legend,
    })),
  }),
  heatmap({
    width: 12,
    title: 'Scores over time',
    description:
      'Distribution of the scores over time: darker means more decisions. Most should be at the bottom. A band that ' +
      'moves up or down as a whole, without a change of model, means that features have drifted or are absent.',
    unit: units.NoUnit,
    queries: [
      {
        expr: sum('increase(sluice_score_bucket[$__rate_interval])', ['le']),
        legend: '{{le}}',
      },
    ],
  }),
]

const why = [
  bars({
    width: 12,
    title: 'Top reasons of alerts',
    description:
      'Alerts in this time range by the feature that contributed most. One feature that leads all others after a ' +
      'release points at that feature, not at fraud. "none" is an alert that could not be explained.',
    unit: units.Short,
    queries: [
      {
        expr: `topk(${TOP_REASONS}, ${sum(inRange('sluice_alert_reasons_total'), ['feature'])} > 0)`,
        legend: '{{feature}}',
      },
    ],
  }),
  bars({
    width: 12,
    title: 'Top segments of alerts',
    description:
      'Alerts in this time range by country, channel and merchant category, the first four of each. Every alert is ' +
      'counted once per segment. Examine a segment far above its baseline first; "other" is all values beyond the ' +
      'bounded list.',
    unit: units.Short,
    queries: ['country', 'channel', 'category'].map((segment) => ({
      expr: topValues(segment),
      legend: `${segment} {{value}}`,
    })),
  }),
]

const right = [
  lines({
    width: 10,
    title: 'Precision as labels mature',
    description:
      'Of the flags and blocks whose label arrived within the day before each point, the share labelled fraud. ' +
      'Early labels are mostly fraud (chargebacks come sooner than silence), so young values are too high: read it ' +
      'together with the delay of labels, and judge a model only after that delay.',
    unit: units.PercentUnit,
    max: 1,
    colours: OUTCOME_COLOURS,
    queries: [{ expr: precision('1d'), legend: '{{outcome}}' }],
  }),
  lines({
    width: 7,
    title: 'Delay of labels',
    description:
      'From the payment to the label being known, for the labels of the day before each point: the median and the ' +
      '90th percentile. The precision panel is delayed by this time.',
    unit: units.Seconds,
    queries: [0.5, 0.9].map((q) => ({
      expr: `histogram_quantile(${q}, ${sum('increase(sluice_label_delay_seconds_bucket[1d])', ['le'])})`,
      legend: `p${q * 100}`,
    })),
  }),
  table({
    width: 7,
    title: 'Labels by outcome',
    description:
      'Labels that arrived in this time range, by the decision at the time. Approved and labelled fraud: missed. ' +
      'Blocked and genuine: customers blocked by mistake. "unknown": the payment is older than the state.',
    unit: units.Short,
    columns: [
      ['outcome', 'outcome'],
      ['Value #A', 'fraud'],
      ['Value #B', 'genuine'],
    ],
    queries: ['fraud', 'genuine'].map((verdict) => ({
      expr: `round(${sum(inRange(`${LABELLED}{verdict="${verdict}"}`), ['outcome'])})`,
      legend: '{{outcome}}',
    })),
  }),
]

export const fraud: DashboardDefinition = dashboard({
  name: 'fraud',
  title: 'Sluice: Fraud',
  description: 'Decisions, amounts, reasons, and how often they were right.',
  rows: [
    { height: 4, panels: summary },
    { height: 8, panels: rates },
    { height: 8, panels: money },
    { height: 10, panels: why },
    { height: 8, panels: right },
    { height: 8, panels: blocks },
  ],
})
