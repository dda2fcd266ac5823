// Panels of the dashboard "Fraud" about what becomes of blocks: how many cards are held, how that ends, and what is capped.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { lines, goodBelow, stat } from './panels.ts'
import { rate, sum } from './promql.ts'

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
      'Leases that ended a second, by cause, and those that new evidence extended. Many genuine labels or people among ' +
      'them mean blocks that were wrong. Unreadable: records of the lease topic, which should be none.',
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
      'Decisions a second that breaker, control group, limit of leases or the day of the analysts made milder than the ' +
      'policy, and caps that tripped a breaker. Zero is usual but for a control group.',
    unit: units.EventsPerSecond,
    queries: [
      { expr: sum(rate(GUARDED), ['mark']), legend: '{{mark}}' },
      { expr: sum(rate('sluice_breaker_trips_total'), ['cap']), legend: 'tripped by {{cap}}' },
    ],
  }),
]
