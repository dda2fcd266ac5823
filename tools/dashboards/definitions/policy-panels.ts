// Panels about policies: which version rules, what is refused or fails, and how one in the shadow does beside it.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { goodBelow, lines, stat, table } from './panels.ts'
import { inRange, rate, sum } from './promql.ts'

const PAIRS = 'sluice_policy_shadow_outcomes_total'

/** Decisions on which both outcomes are the same. */
const SAME = ['approve', 'flag', 'block']
  .map((outcome) => sum(rate(`${PAIRS}{active="${outcome}",shadow="${outcome}"}`)))
  .join(' + ')

const SAME_PAIRS = ['approve', 'flag', 'block']
  .map((outcome) => `${PAIRS}{active="${outcome}",shadow="${outcome}"}`)
  .join(' or ')

export const policies = [
  table({
    width: 6,
    title: 'Policies in service',
    description:
      'Version of the ruleset that each scorer uses, and of the one in its shadow; 0 is the built-in policy, or no ' +
      'shadow. Some seconds after a change every scorer should show the same. "sluice policy list" says what is asked for.',
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
    title: 'Policies refused',
    description:
      'Scorers that refuse a ruleset which they were told to use; the one before it goes on. Zero is good; else the log ' +
      'line "A policy is refused." says why.',
    unit: units.Short,
    decimals: 0,
    steps: goodBelow(1),
    queries: [{ expr: 'sum(sluice_policy_refused)', legend: 'refused' }],
  }),
  stat({
    width: 3,
    title: 'Decisions with a failed condition',
    description:
      'Decisions in this time range for which some condition of the policy could not be answered; they are at least ' +
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
      'Share of decisions on which the policy in force and the one in the shadow come to the same outcome. Most payments ' +
      'are approved by both, so look at the disagreements beside it, too.',
    unit: units.PercentUnit,
    max: 1,
    queries: [{ expr: `(${SAME}) / ${sum(rate(PAIRS))}`, legend: 'agree' }],
  }),
  lines({
    width: 6,
    title: 'Disagreements with the policy in the shadow',
    description:
      'Decisions a second on which the two differ, as in force to shadow. Many "approve to block": look at them before ' +
      'the candidate is applied.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: `${sum(rate(PAIRS), ['active', 'shadow'])} unless on (active, shadow) (${SAME_PAIRS})`,
        legend: '{{active}} to {{shadow}}',
      },
    ],
  }),
]
