// Panels of the dashboard "Models" about a cascade: what the large net decides, where it could not, and how far both agree.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { lines } from './panels.ts'
import { rate, sum } from './promql.ts'

const SAMPLE = 'sluice_cascade_sample_total'

/** As the recorded value of the alert: what the large net decides agrees with it, of the rest the sample tells. */
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
      'Share of the decisions that the large net of a cascade made, since the draft was not conclusive; 0 for a model of ' +
      'one net. It is what the large net costs: a rise means more payments that look like fraud, or drift.',
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
    title: 'Drafts that stood',
    description:
      'Decisions a second that rest on the draft although the large net should have decided: it did not answer in time, ' +
      'or the partition had no state. Zero is good; none of them blocks.',
    unit: units.EventsPerSecond,
    queries: [
      {
        expr: sum(rate('sluice_decision_annotations_total{mark="draft_stands"}')),
        legend: 'stood',
      },
    ],
  }),
  lines({
    width: 8,
    title: 'Agreement of the cascade',
    description:
      'Share of outcomes that are those of the large net over the hour before each point, as the random sample shows, ' +
      'and the least share that the model promises. Empty without a sample: the model is one net, or new.',
    unit: units.PercentUnit,
    max: 1,
    dashed: 'promised',
    queries: [
      { expr: AGREEMENT, legend: 'agree' },
      { expr: 'max(sluice_cascade_agreement_at_least)', legend: 'promised' },
    ],
  }),
]
