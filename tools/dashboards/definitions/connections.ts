// Dashboard "Connections": what the bridge takes in from a team's own topic, and what the gateway answers.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import { COLOURS, lines, nonZero, quantile, rate, sum } from './panels.ts'

/** Share of answers without a decision at which the alert fires. */
const FALLBACK_SHARE = 0.05
/** Time to catch up at which the alert fires. */
const BRIDGE_BEHIND_S = 60

const answers = [
  lines({
    width: 8,
    title: 'Answers',
    description:
      'Transactions answered a second, by what the answer was. written, shared and repeated are decisions; fallback is ' +
      'the configured answer at the deadline, and conflict refuses other content under a known id.',
    unit: units.RequestsPerSecond,
    isStacked: true,
    colours: { fallback: COLOURS.flag, conflict: COLOURS.before },
    queries: [{ expr: sum(rate('sluice_gateway_answers_total'), ['kind']), legend: '{{kind}}' }],
  }),
  lines({
    width: 8,
    title: 'Time to answer',
    description:
      'From the arrival of a request to the decision that answers it: median, 90th and 99th percentile. It contains the ' +
      'write to Kafka, the decision and its commit. Rising with the time of decisions on the dashboard Stream: the ' +
      'scorers are slow. Rising alone: the gateway lacks CPU time.',
    unit: units.Seconds,
    queries: [0.5, 0.9, 0.99].map((q) => ({
      expr: quantile(q, 'sluice_gateway_answer_seconds{kind="written"}'),
      legend: `p${q * 100}`,
    })),
  }),
  lines({
    width: 8,
    title: 'Answers without a decision',
    description:
      'Share of fallbacks among the answers; the dashed line is the limit of the alert. The decision still stands on ' +
      'the topic when it comes. Reasons: sluice_gateway_fallbacks_total.',
    unit: units.PercentUnit,
    limits: [FALLBACK_SHARE],
    queries: [
      {
        expr: `${sum(rate('sluice_gateway_answers_total{kind="fallback"}'))} / ${sum(rate('sluice_gateway_answers_total'))}`,
        legend: 'fallbacks',
      },
    ],
  }),
]

const requests = [
  lines({
    width: 12,
    title: 'Refused requests',
    description:
      'HTTP requests a second that were refused, by problem; only "none" at zero is good. too_many_requests: the limit of ' +
      'waiting transactions or of a token is reached. unauthorised: a token is wrong or missing.',
    unit: units.RequestsPerSecond,
    colours: { none: COLOURS.before },
    queries: [
      {
        expr: nonZero('result', rate('sluice_gateway_requests_total{result!="answered"}')),
        legend: '{{result}}',
      },
    ],
  }),
  lines({
    width: 12,
    title: 'Waiting transactions',
    description:
      'Transactions that wait for their decisions, and those that no broker has acknowledged yet. The second one stays ' +
      'near zero while Kafka is well.',
    unit: units.Short,
    queries: [
      { expr: 'sum(sluice_gateway_in_flight)', legend: 'wait for a decision' },
      { expr: 'sum(sluice_gateway_unacknowledged)', legend: 'not acknowledged' },
    ],
  }),
]

const bridged = [
  lines({
    width: 8,
    title: 'Written by the bridge',
    description:
      "Messages of the team's topic a second that became transactions or labels, and those that the mapping leaves out. " +
      'None at all while their producers send: the bridge is away or behind, or its credentials lack a right.',
    unit: units.EventsPerSecond,
    isStacked: true,
    queries: [
      { expr: sum(rate('sluice_bridge_written_total'), ['topic']), legend: '{{topic}}' },
      { expr: sum(rate('sluice_bridge_skipped_total')), legend: 'left out' },
    ],
  }),
  lines({
    width: 8,
    title: 'Refused by the bridge',
    description:
      'Messages a second that became dead letters, by reason; only "none" at zero is good. After a change of their format ' +
      'or of the mapping, sluice bridge check says what a sample lacks.',
    unit: units.EventsPerSecond,
    colours: { none: COLOURS.before },
    queries: [
      { expr: nonZero('reason', rate('sluice_bridge_refused_total')), legend: '{{reason}}' },
    ],
  }),
  lines({
    width: 8,
    title: 'Time for the bridge to catch up',
    description:
      'Messages that are not committed yet, divided by what is committed a second; the dashed line is the limit of the ' +
      'alert. Nothing is lost, but decisions are as late as this. Add a bridge, up to one for each partition.',
    unit: units.Seconds,
    limits: [BRIDGE_BEHIND_S],
    queries: [
      {
        expr: `sum(sluice_bridge_behind_messages) / (${[
          'sluice_bridge_written_total',
          'sluice_bridge_skipped_total',
          'sluice_bridge_refused_total',
        ]
          .map((name) => sum(rate(name)))
          .join(' + ')})`,
        legend: 'to catch up',
      },
    ],
  }),
]

export const connections: DashboardDefinition = dashboard({
  name: 'connections',
  title: 'Sluice: Connections',
  description: "What the bridge takes in from a team's own topic, and what the gateway answers.",
  rows: [
    { height: 8, panels: answers },
    { height: 7, panels: requests },
    { height: 8, panels: bridged },
  ],
})
