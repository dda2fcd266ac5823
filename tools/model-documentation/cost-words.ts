// What the pages of a model folder say of the costs that thresholds were judged by.

import {
  totalMinor,
  type CostFigures,
  type ModelCosts,
} from '../../services/core/scoring/alert-costs.ts'
import { percent, table } from './page-parts.ts'

/** For the model card: what was saved and spent in both periods, in the reference currency. */
export function costSection({ costs, validation, test }: ModelCosts): string {
  const row = (name: string, read: (of: CostFigures) => string): readonly string[] => [
    name,
    read(validation),
    read(test),
  ]
  const rows = [
    row('value of all frauds', (of) => amount(of.fraudMinor)),
    row('loss avoided', (of) => amount(of.avoidedMinor)),
    row('work on alerts', (of) => amount(of.alertsMinor)),
    row('wrong blocks', (of) => amount(of.wrongBlocksMinor)),
    row('fraud and work in all', (of) => amount(totalMinor(of))),
    row('share of fraud value saved', savedText),
  ]
  return (
    `In the reference currency, with ${amount(costs.alertMinor)} an alert, ${amount(costs.wrongBlockFixedMinor)} and ` +
    `${percent(costs.wrongBlockShare, 0)} of the amount a wrong block, and ${percent(costs.flagSavesShare, 0)} of a fraud's ` +
    `amount saved by a flag, all of it by a block:\n\n${table(['amount', 'validation', 'test'], rows)}\n\n` +
    'These costs are assumptions; who knows better ones trains with them (`sluice train --help`).'
  )
}

function savedText(of: CostFigures): string {
  return of.fraudMinor === 0 ? 'no frauds' : percent(1 - totalMinor(of) / of.fraudMinor, 1)
}

function amount(minor: number): string {
  return (minor / 100).toFixed(2)
}
