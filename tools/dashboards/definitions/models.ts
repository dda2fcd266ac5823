// Panels of the dashboard "Models" about a cascade: what the large net decides, when it could not, and how often both
// nets agree.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { dashboard, type DashboardDefinition } from './dashboard-definition.ts'
import { goodBelow, heatmap, inRange, lines, rate, stat, sum, table } from './panels.ts'

const SAMPLE = 'sluice_cascade_sample_total'

/** Computed as in the alert's recording rule: verified decisions count as agreement; the sample estimates the rest. */
const AGREEMENT = (() => {
  const growth = (series: string): string => sum(`increase(${series}[1h])`)
  const differing = `${growth(`${SAMPLE}{outcome="different"}`)} / ${growth(SAMPLE)}`
  const verified = growth('sluice_decision_annotations_total{mark="verified"}')
  return `1 - ${differing} * (1 - ${verified} / ${growth('sluice_decisions_total')})`
})()

export const cascade = [
  lines({
    width: 8,
    title: 'Share verified',
    description:
      'Share of the decisions that the large net of a cascade made, since the first stage was not conclusive; 0 for a model ' +
      'of one net. It determines the cost of the large net: a rise means more payments that look like fraud, or drift.',
    unit: units.PercentUnit,
    max: 1,
    queries: [
      {
        expr: `${sum(rate('sluice_decision_annotations_total{mark="verified"}'))} / ${sum(rate('sluice_decisions_total'))}`,
        legend: 'verified',
      },
    ],
  }),
  lines({
    width: 8,
    title: 'Decisions left at the first stage',
    description:
      'Decisions a second that rest on the first stage although the large net should have decided: it did not answer in ' +
      'time, or the partition had no state. Zero is good; none of them blocks.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: sum(rate('sluice_decision_annotations_total{mark="draft_stands"}')),
        legend: 'first stage',
      },
    ],
  }),
  lines({
    width: 8,
    title: 'Agreement of the cascade',
    description:
      'Share of outcomes that equal those of the large net over the hour before each point, estimated from the ' +
      'random sample, and the minimum share that the model promises. Empty without a sample: the model is one ' +
      'net, or new.',
    unit: units.PercentUnit,
    max: 1,
    dashed: 'promised',
    queries: [
      { expr: AGREEMENT, legend: 'agree' },
      { expr: 'max(sluice_cascade_agreement_at_least)', legend: 'promised' },
    ],
  }),
]

// Panels about policies: which version is in force, what is refused or fails, and how a shadow policy compares with it.

const POLICY_PAIRS = 'sluice_policy_shadow_outcomes_total'

export const policies = [
  table({
    width: 6,
    title: 'Policies in service',
    description:
      'Version of the ruleset that each scorer uses, and of the one in its shadow; 0 is the built-in policy, or no ' +
      'shadow. Some seconds after a change every scorer should show the same. "sluice policy list" shows the requested one.',
    unit: units.Short,
    columns: [
      ['instance', 'scorer'],
      ['role', 'role'],
      ['Value', 'version'],
    ],
    queries: [{ expr: 'max by (instance, role) (sluice_policy_version)', legend: '{{role}}' }],
  }),
  stat({
    width: 3,
    title: 'Policies and rates refused',
    description:
      'Scorers that refuse the requested ruleset or table of exchange rates and keep the previous one. Zero is good; ' +
      'otherwise the log line "A policy is refused." or "A rate table is refused." says why.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [
      { expr: 'sum(sluice_policy_refused)', legend: 'policies' },
      { expr: 'sum(sluice_rates_refused)', legend: 'rates' },
    ],
  }),
  stat({
    width: 3,
    title: 'Decisions with a failed condition',
    description:
      'Decisions in this time range for which some condition of the policy could not be evaluated; they are at least ' +
      'flags. Zero is good; sluice_policy_failures_total names the conditions.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [
      {
        expr: `round(${sum(inRange('sluice_decision_annotations_total{mark="policy_failed"}'))})`,
        legend: 'failed',
      },
    ],
  }),
  lines({
    width: 6,
    title: 'Agreement with the policy in the shadow',
    description:
      'Share of decisions on which the policy in force and the shadow policy have the same outcome. Both approve ' +
      'most payments, so check the disagreements too.',
    unit: units.PercentUnit,
    max: 1,
    queries: [{ expr: `(${same(POLICY_PAIRS)}) / ${sum(rate(POLICY_PAIRS))}`, legend: 'agree' }],
  }),
  lines({
    width: 6,
    title: 'Disagreements with the policy in the shadow',
    description:
      'Decisions a second on which the two differ, as in force to shadow. Many "approve to block": examine them ' +
      'before you apply the candidate.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: `${sum(rate(POLICY_PAIRS), ['active', 'shadow'])} unless on (active, shadow) (${samePairs(POLICY_PAIRS)})`,
        legend: '{{active}} to {{shadow}}',
      },
    ],
  }),
]

// Dashboard "Models": the models and policies in use, how shadow models compare with the deciding model, and whether
// the payments still resemble the training data.

const PAIRS = 'sluice_shadow_outcomes_total'
const LABELLED = 'sluice_shadow_labelled_total'
const AMOUNTS = 'sluice_shadow_labelled_amount_reference_total'
const ALERTED = 'outcome=~"flag|block"'
const FRAUD = 'verdict="fraud"'
const VALUES = inRange('sluice_feature_values_total')
const DRIFTED_SHOWN = 12

/** The series of equal outcomes, which are not disagreements. */
function equalOutcomes(pairs: string): readonly string[] {
  return ['approve', 'flag', 'block'].map(
    (outcome) => `${pairs}{active="${outcome}",shadow="${outcome}"}`,
  )
}

/** The rate of rows on which both outcomes are the same. */
function same(pairs: string): string {
  return equalOutcomes(pairs)
    .map((series) => sum(rate(series)))
    .join(' + ')
}

function samePairs(pairs: string): string {
  return equalOutcomes(pairs).join(' or ')
}

function labelled(metric: string, ...matchers: readonly string[]): string {
  return sum(`increase(${metric}{${matchers.join(',')}}[1d])`, ['role'])
}

/** Computed as in the alert's rule, over the time range shown. */
const STABILITY = (() => {
  const bins = 'feature, model, bin'
  const share =
    `${sum(VALUES, ['feature', 'model', 'bin'])} / on (feature, model) group_left () ` +
    `(${sum(VALUES, ['feature', 'model'])} > 0)`
  const live = `clamp_min(${share}, 0.0001)`
  const trained = `clamp_min(max by (${bins}) (sluice_feature_training_share), 0.0001)`
  const term = `(${live} - on (${bins}) ${trained}) * on (${bins}) ln(${live} / on (${bins}) ${trained})`
  return `topk(${DRIFTED_SHOWN}, sum by (feature) (${term}))`
})()

const service = [
  table({
    width: 12,
    title: 'Models in service',
    description:
      'The model that each scorer uses, and its shadow model. During a change two models may be in use for some ' +
      'seconds; afterwards every scorer should show the same. "sluice model list" shows the requested one.',
    unit: units.NoUnit,
    columns: [
      ['instance', 'scorer'],
      ['role', 'role'],
      ['model_version', 'model'],
      ['model_digest', 'digest'],
    ],
    queries: [
      {
        expr: 'max by (instance, role, model_version, model_digest) (sluice_model_info)',
        legend: '{{role}}',
      },
    ],
  }),
  stat({
    width: 6,
    title: 'Models refused',
    description:
      'Scorers that refuse the requested model and keep the previous one. Zero is good; otherwise the log line ' +
      '"A model is refused." says why.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [{ expr: 'sum(sluice_model_refused)', legend: 'refused' }],
  }),
  stat({
    width: 6,
    title: 'Rows that the shadow left out',
    description:
      'Rows in this time range that did not fit into the queue of the shadow model. The comparisons below lack ' +
      'them; decisions never wait for the shadow.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1_000, 1),
    queries: [
      {
        expr: `round(${sum(inRange('sluice_shadow_rows_total{result="dropped"}'))})`,
        legend: 'left out',
      },
    ],
  }),
]

const agreement = [
  lines({
    width: 8,
    title: 'Agreement of outcomes',
    description:
      'Share of the rows on which the active model and the shadow have the same outcome. Both approve most ' +
      'payments, so check the disagreements too.',
    unit: units.PercentUnit,
    max: 1,
    queries: [{ expr: `(${same(PAIRS)}) / ${sum(rate(PAIRS))}`, legend: 'agree' }],
  }),
  lines({
    width: 8,
    title: 'Disagreements',
    description:
      'Rows a second on which the two differ, as active to shadow. Many "approve to flag": the shadow would alert ' +
      'more. Examine them before a change.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: `${sum(rate(PAIRS), ['active', 'shadow'])} unless on (active, shadow) (${samePairs(PAIRS)})`,
        legend: '{{active}} to {{shadow}}',
      },
    ],
  }),
  lines({
    width: 8,
    title: 'Alerts of both',
    description:
      'Share of the same rows that each of the two flags or blocks. The shadow would change the number of alerts by ' +
      'this much.',
    unit: units.PercentUnit,
    queries: (['active', 'shadow'] as const).map((role) => ({
      expr: `${sum(rate(`${PAIRS}{${role}=~"flag|block"}`))} / ${sum(rate(PAIRS))}`,
      legend: role,
    })),
  }),
]

const scores = (
  [
    ['Scores of the active model', 'sluice_shadow_active_score'],
    ['Scores of the shadow', 'sluice_shadow_score'],
  ] as const
).map(([title, metric]) =>
  heatmap({
    width: 12,
    title,
    description:
      'Distribution of the scores on the rows that both models scored: darker means more. Compare both panels; ' +
      'thresholds belong to their model, so a different height alone means nothing.',
    unit: units.NoUnit,
    queries: [
      { expr: sum(`increase(${metric}_bucket[$__rate_interval])`, ['le']), legend: '{{le}}' },
    ],
  }),
)

const right = [
  lines({
    width: 6,
    title: 'Precision of both',
    description:
      'Of what each model would have alerted and whose first label came within the day before, the share labelled ' +
      'fraud. It is delayed like the labels: see their maturity.',
    unit: units.PercentUnit,
    max: 1,
    queries: [
      {
        expr: `${labelled(LABELLED, ALERTED, FRAUD)} / ${labelled(LABELLED, ALERTED)}`,
        legend: '{{role}}',
      },
    ],
  }),
  lines({
    width: 6,
    title: 'Recall of both',
    description:
      'Of the frauds whose label came within the day before, the share that each model would have alerted. Unreported ' +
      'frauds are not included.',
    unit: units.PercentUnit,
    max: 1,
    queries: [
      {
        expr: `${labelled(LABELLED, ALERTED, FRAUD)} / ${labelled(LABELLED, FRAUD)}`,
        legend: '{{role}}',
      },
    ],
  }),
  lines({
    width: 6,
    title: 'Value saved by both',
    description:
      'Amount of the labelled frauds of the day before each point that each model would have alerted, in euro. The ' +
      'difference is what a change is worth, before the cost of alerts.',
    unit: units.Euro,
    queries: [{ expr: labelled(AMOUNTS, ALERTED, FRAUD), legend: '{{role}}' }],
  }),
  lines({
    width: 6,
    title: 'Maturity of these labels',
    description:
      'From the payment to its label, for the labels of the day before each point: the median and the 90th ' +
      'percentile. A comparison is fair once the shadow has run for longer than that.',
    unit: units.Seconds,
    queries: [0.5, 0.9].map((q) => ({
      expr: `histogram_quantile(${q}, ${sum('increase(sluice_label_delay_seconds_bucket[1d])', ['le'])})`,
      legend: `p${q * 100}`,
    })),
  }),
]

const drift = [
  table({
    width: 12,
    title: 'Drift of features',
    description:
      'Population stability index of the features (and of "score") that have moved most against the training rows, in ' +
      'the time range shown. Below 0.1 is stable, above 0.25 the values no longer follow the training ' +
      'distribution. Choose a week, since a single day has only one weekday. The alerts use a week.',
    unit: units.Short,
    columns: [
      ['feature', 'feature'],
      ['Value', 'index'],
    ],
    queries: [{ expr: STABILITY, legend: '{{feature}}' }],
  }),
  lines({
    width: 12,
    title: 'Absent values',
    description:
      'Share of the rows in which a feature is absent, for the features where it is most often. A step upwards means ' +
      'that a producer has stopped sending a field.',
    unit: units.PercentUnit,
    max: 1,
    queries: [
      {
        expr:
          `topk(8, ${sum(rate('sluice_feature_values_total{bin="absent"}'), ['feature'])} / on (feature) ` +
          `${sum(rate('sluice_feature_values_total'), ['feature'])})`,
        legend: '{{feature}}',
      },
    ],
  }),
]

export const models: DashboardDefinition = dashboard({
  name: 'models',
  title: 'Sluice: Models',
  description: 'Models and policies in use, comparison with shadows, and drift of payments.',
  rows: [
    { height: 6, panels: service },
    { height: 8, panels: cascade },
    { height: 8, panels: policies },
    { height: 8, panels: agreement },
    { height: 8, panels: scores },
    { height: 8, panels: right },
    { height: 10, panels: drift },
  ],
})
