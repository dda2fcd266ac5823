// How `sluice train` is told by what thresholds are chosen, and what alerts cost.

import { Option } from 'commander'
import type { Command } from 'commander'
import { DEFAULT_ALERT_COSTS } from '../../core/scoring/alert-costs.ts'
import { THRESHOLD_RULES } from '../../trainer/index.ts'
import type { ThresholdChoice, ThresholdRule } from '../../trainer/index.ts'
import { parseNumber } from '../command.ts'

const MINOR = 100
const AMOUNT_MAX = 1_000_000

/** Amounts in units of the reference currency; absent means that the default holds. */
export interface ThresholdOptions {
  readonly thresholds: ThresholdRule
  readonly alertCost?: number
  readonly wrongBlockCost?: number
  readonly wrongBlockShare?: number
  readonly flagSaves?: number
}

/** Adds the options to a command. */
export function addThresholdOptions(command: Command): void {
  const { alertMinor, wrongBlockFixedMinor, wrongBlockShare, flagSavesShare } = DEFAULT_ALERT_COSTS
  command
    .addOption(
      new Option(
        '--thresholds <rule>',
        'cost: the pair with the least cost on validation; precision: at least 0.5 of flags and 0.9 of blocks',
      )
        .choices(THRESHOLD_RULES)
        .default('cost'),
    )
    .option(
      '--alert-cost <amount>',
      `work on one alert, in the reference currency (default ${alertMinor / MINOR})`,
      parseNumber(0, AMOUNT_MAX),
    )
    .option(
      '--wrong-block-cost <amount>',
      `of refusing a genuine payment, fixed part (default ${wrongBlockFixedMinor / MINOR})`,
      parseNumber(0, AMOUNT_MAX),
    )
    .option(
      '--wrong-block-share <share>',
      `of refusing a genuine payment, share of its amount (default ${wrongBlockShare})`,
      parseNumber(0, 100),
    )
    .option(
      '--flag-saves <share>',
      `of a fraud's amount; a block saves all of it (default ${flagSavesShare})`,
      parseNumber(0, 1),
    )
}

/** What was asked for, with the defaults. */
export function thresholdChoice(options: ThresholdOptions): ThresholdChoice {
  const { thresholds, alertCost, wrongBlockCost, wrongBlockShare, flagSaves } = options
  const minor = (amount: number | undefined, byDefault: number): number =>
    amount === undefined ? byDefault : Math.round(amount * MINOR)
  const of = DEFAULT_ALERT_COSTS
  return {
    rule: thresholds,
    costs: {
      alertMinor: minor(alertCost, of.alertMinor),
      wrongBlockFixedMinor: minor(wrongBlockCost, of.wrongBlockFixedMinor),
      wrongBlockShare: wrongBlockShare ?? of.wrongBlockShare,
      flagSavesShare: flagSaves ?? of.flagSavesShare,
    },
  }
}

/** The options that differ from the defaults, as they were given. */
export function thresholdWords(options: ThresholdOptions): readonly string[] {
  const { thresholds, alertCost, wrongBlockCost, wrongBlockShare, flagSaves } = options
  return [
    ...(thresholds === 'cost' ? [] : [`--thresholds ${thresholds}`]),
    ...(alertCost === undefined ? [] : [`--alert-cost ${alertCost}`]),
    ...(wrongBlockCost === undefined ? [] : [`--wrong-block-cost ${wrongBlockCost}`]),
    ...(wrongBlockShare === undefined ? [] : [`--wrong-block-share ${wrongBlockShare}`]),
    ...(flagSaves === undefined ? [] : [`--flag-saves ${flagSaves}`]),
  ]
}
