// The cost and the benefit of alerts, in minor units of the reference currency. The trainer chooses thresholds by
// them and records them with each model, policies may decide by them, and backtests measure everything by them.

import assert from 'node:assert/strict'
import type { FieldReader } from './field-reader.ts'

const AMOUNT_MINOR_MAX = 1e9

/** Costs that an operator states for its own work. */
export interface AlertCosts {
  /** Work on one alert, flag or block, whether it is a fraud or not. */
  readonly alertMinor: number
  /** Cost of refusing a genuine payment, whatever its amount. */
  readonly wrongBlockFixedMinor: number
  /** Cost of refusing a genuine payment, as a share of its amount. */
  readonly wrongBlockShare: number
  /**
   * Share of a fraud's amount that a flag still saves, because analysts see it after the payment; a block saves all.
   */
  readonly flagSavesShare: number
}

/** Defaults: 5.00 an alert, 20.00 and half of the amount a wrong block; a flag saves half. */
export const DEFAULT_ALERT_COSTS: AlertCosts = Object.freeze({
  alertMinor: 500,
  wrongBlockFixedMinor: 2_000,
  wrongBlockShare: 0.5,
  flagSavesShare: 0.5,
})

/** Effect of thresholds on one period, in minor units; the total loss is fraud - avoided + alerts + wrong blocks. */
export interface CostFigures {
  /** Value of all frauds: the loss without any alert. */
  readonly fraudMinor: number
  readonly avoidedMinor: number
  readonly alertsMinor: number
  readonly wrongBlocksMinor: number
}

/** Scored payments; arrays are by row. */
export interface CostedRows {
  readonly scores: Float64Array
  /** 1 fraud, 0 genuine. */
  readonly truth: Uint8Array
  readonly amountsMinor: Float64Array
}

/** Cost of refusing a genuine payment: a fixed part, and a share of its amount. */
export function wrongBlockCostMinor(
  amountMinor: number,
  { wrongBlockFixedMinor, wrongBlockShare }: AlertCosts,
): number {
  return wrongBlockFixedMinor + wrongBlockShare * amountMinor
}

/** Value of flagging a payment, compared with approving it. */
export function flagGain(isFraud: boolean, amountMinor: number, costs: AlertCosts): number {
  return (isFraud ? costs.flagSavesShare * amountMinor : 0) - costs.alertMinor
}

/** Value of blocking a payment, compared with flagging it. */
export function blockGain(isFraud: boolean, amountMinor: number, costs: AlertCosts): number {
  return isFraud
    ? (1 - costs.flagSavesShare) * amountMinor
    : -wrongBlockCostMinor(amountMinor, costs)
}

/** Savings and costs with these thresholds. */
export function costFigures(
  { scores, truth, amountsMinor }: CostedRows,
  thresholds: { readonly flag: number; readonly block: number },
  costs: AlertCosts,
): CostFigures {
  let fraudMinor = 0
  let avoidedMinor = 0
  let alertsMinor = 0
  let wrongBlocksMinor = 0
  for (const [row, score] of scores.entries()) {
    const amountMinor = amountsMinor[row]
    assert(amountMinor !== undefined, 'Every scored row has an amount.')
    const isFraud = truth[row] === 1
    const isBlocked = score >= thresholds.block
    if (isFraud) fraudMinor += amountMinor
    if (score < thresholds.flag) continue
    alertsMinor += costs.alertMinor
    if (isFraud) avoidedMinor += (isBlocked ? 1 : costs.flagSavesShare) * amountMinor
    else if (isBlocked) wrongBlocksMinor += wrongBlockCostMinor(amountMinor, costs)
  }
  return { fraudMinor, avoidedMinor, alertsMinor, wrongBlocksMinor }
}

/** Total cost of fraud and of the work against it. */
export function totalMinor(figures: CostFigures): number {
  const { fraudMinor, avoidedMinor, alertsMinor, wrongBlocksMinor } = figures
  return fraudMinor - avoidedMinor + alertsMinor + wrongBlocksMinor
}

/** Costs that a manifest records. */
export interface ModelCosts {
  readonly costs: AlertCosts
  readonly validation: CostFigures
  readonly test: CostFigures
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readModelCosts(fields: FieldReader): ModelCosts {
  return {
    costs: fields.object('costs', (costs) => ({
      alertMinor: costs.number('alertMinor', 0, AMOUNT_MINOR_MAX),
      wrongBlockFixedMinor: costs.number('wrongBlockFixedMinor', 0, AMOUNT_MINOR_MAX),
      wrongBlockShare: costs.number('wrongBlockShare', 0, 100),
      flagSavesShare: costs.number('flagSavesShare', 0, 1),
    })),
    validation: fields.object('validation', readCostFigures),
    test: fields.object('test', readCostFigures),
  }
}

function readCostFigures(fields: FieldReader): CostFigures {
  return {
    fraudMinor: fields.number('fraudMinor', 0),
    avoidedMinor: fields.number('avoidedMinor', 0),
    alertsMinor: fields.number('alertsMinor', 0),
    wrongBlocksMinor: fields.number('wrongBlocksMinor', 0),
  }
}
