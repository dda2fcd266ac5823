// Panels of the dashboard "Stream" about what becomes of blocks: how long until they are applied, what subscribers answer,
// and which blocks nobody has answered.

import * as units from '@grafana/grafana-foundation-sdk/units'
import { lines } from './panels.ts'
import { quantile, rate, sum } from './promql.ts'

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
      'Receipts for blocks and releases a second, by what they say. refused: the subscriber would not. too_late: the ' +
      'lease was over when the alert came, as with replayed traffic of the past.',
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
      'Blocks and releases that wait for a receipt, and those that have waited longer than they may. Zero is good for ' +
      'the second one; otherwise see whether the enforcer runs.',
    unit: units.Short,
    queries: [
      { expr: 'sum(sluice_blocks_waiting)', legend: 'waiting' },
      { expr: 'sum(sluice_blocks_without_receipt)', legend: 'too long' },
    ],
  }),
]
