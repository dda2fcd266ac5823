// Options of `sluice backtest`, and their combined meaning.

import { InvalidArgumentError, Option, type Command } from 'commander'
import { parseAmount } from '../../core/files/row-reader.ts'
import type { TimeRange } from '../../core/files/event-time.ts'
import type { AlertCosts } from '../../core/scoring/alert-costs.ts'
import { parseInteger, parseNumber } from '../command.ts'
import {
  constantsOption,
  delimiterOption,
  durationOption,
  mappingOption,
  timeOption,
  timeRangeOption,
} from '../commands/produce.ts'
import type { MappingOptions } from '../lake/import-command.ts'
import { costsOf, type LoadedPolicy } from './load-policies.ts'

/** A currency whose minor unit is a hundredth, as amounts in the reference currency are counted. */
const HUNDREDTHS = 'EUR'

export const BACKTEST_DEFAULTS = {
  maturityDays: 30,
  examples: 5,
  scoreColumn: 'score',
  labelDelayDays: 7,
  breakerResetHours: 8,
} as const

const DAYS_MAX = 3_650
const EXAMPLES_MAX = 1_000
const ANALYSTS_MAX = 1_000_000

export interface BacktestCommandOptions extends MappingOptions {
  readonly policy: readonly string[]
  readonly live?: string
  readonly list?: readonly string[]
  /** Version or digest of the ruleset whose lists are used. */
  readonly listsOf?: string
  readonly lake?: string
  readonly data?: readonly string[]
  readonly from?: TimeRange
  readonly to?: TimeRange
  /** Milliseconds UTC. */
  readonly asOf?: number
  readonly labelMaturityDays: number
  /** Minor units of the reference currency. */
  readonly alertCost?: number
  readonly wrongBlockCost?: number
  /** Share of the amount. */
  readonly wrongBlockShare?: number
  readonly analysts?: number
  /** Milliseconds. */
  readonly breakerReset?: number
  readonly beforeBreaker?: boolean
  readonly examples: number
  readonly model?: string
  readonly store?: string
  readonly scoreColumn: string
  readonly delimiter: string
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly sort?: boolean
  readonly skipBad?: boolean
  readonly json?: boolean
  readonly html?: string
}

/** Adds all options to the command. */
export function addBacktestOptions(command: Command): Command {
  const gather = (text: string, before: readonly string[] | undefined): readonly string[] => [
    ...(before ?? []),
    text,
  ]
  command
    .requiredOption('--policy <file[=name]>', 'a policy to try; may be given often', gather)
    .option('--live <file>', 'a policy in place of what was decided')
    .option(
      '--list <name=file>',
      'a list in place of that of the store; may be given often',
      gather,
    )
    .option(
      '--lists-of <ruleset>',
      'lists of this ruleset for all rows, by version or digest (default: of what decided each)',
    )
    .addOption(
      new Option(
        '--lake <folder>',
        'rows from a lake (default SLUICE_LAKE_FOLDER or lake)',
      ).conflicts('data'),
    )
    .option('--data <file...>', 'rows from .csv, .csv.gz or .parquet files')
    .option('--from <date>', 'first event time, or day in UTC', timeRangeOption)
    .option('--to <date>', 'last event time, or day in UTC, included', timeRangeOption)
    .option(
      '--as-of <time>',
      'labels known later do not count (default the newest moment in the lake; labels of files are final)',
      timeOption,
    )
    .option(
      '--label-maturity-days <days>',
      'days after which a transaction without a label counts as genuine',
      parseNumber(0, DAYS_MAX),
      BACKTEST_DEFAULTS.maturityDays,
    )
    .option(
      '--breaker-reset <duration>',
      `when somebody resets a breaker that has tripped (default ${BACKTEST_DEFAULTS.breakerResetHours}h)`,
      durationOption,
    )
    .addOption(
      new Option(
        '--before-breaker',
        'leave out breaker, control group and the limit of alerts a day',
      ).conflicts('breakerReset'),
    )
  addReportOptions(command)
  return addFileOptions(command)
}

function addReportOptions(command: Command): void {
  command
    .option(
      '--alert-cost <amount>',
      `what an alert costs, in the reference currency, such as 4.50`,
      moneyOption,
    )
    .option(
      '--wrong-block-cost <amount>',
      `what a wrong block costs, in the reference currency`,
      moneyOption,
    )
    .option('--wrong-block-share <share>', 'and as a share of the amount', parseNumber(0, 1_000))
    .option('--analysts <count>', 'people who look at alerts', parseInteger(1, ANALYSTS_MAX))
    .option(
      '--examples <count>',
      'example transactions of each policy, each way',
      parseInteger(0, EXAMPLES_MAX),
      BACKTEST_DEFAULTS.examples,
    )
    .option('--json', 'print the report as JSON')
    .option('--html <file>', 'also write the report as a page with charts')
}

function addFileOptions(command: Command): Command {
  return command
    .option('--model <folder>', 'model that scores rows of --data, and whose thresholds count')
    .option(
      '--store <place>',
      'folder or "topic" (default SLUICE_POLICY_STORE and SLUICE_MODEL_STORE, or .sluice/models)',
    )
    .option(
      '--score-column <column>',
      'column of --data with stored scores',
      BACKTEST_DEFAULTS.scoreColumn,
    )
    .option('--mapping <file>', 'columns of --data, as in "sluice lake import"')
    .option('--map <field=column,...>', 'columns, in place of those of the file', mappingOption)
    .option('--set <field=value,...>', 'the same value for every row', constantsOption)
    .option('--delimiter <character>', 'between cells of CSV', delimiterOption, ',')
    .option(
      '--label-delay <duration>',
      `when labels of --data are known after the event time (default ${BACKTEST_DEFAULTS.labelDelayDays}d)`,
      durationOption,
    )
    .option('--sort', 'order the rows of each file of --data by time')
    .option('--skip-bad', 'leave out rows of --data that cannot be read')
}

/** Applies the options to the costs of the first policy that has some. */
export function costsFor(
  { alertCost, wrongBlockCost, wrongBlockShare }: BacktestCommandOptions,
  policies: readonly LoadedPolicy[],
): { readonly costs: AlertCosts; readonly from: string } {
  const found = costsOf(policies)
  const base = found?.costs ?? {
    alertMinor: 0,
    wrongBlockFixedMinor: 0,
    wrongBlockShare: 0,
    flagSavesShare: 1,
  }
  const given = [alertCost, wrongBlockCost, wrongBlockShare].some((value) => value !== undefined)
  const words = [...(given ? ['options'] : []), ...(found === null ? [] : [`policy ${found.from}`])]
  return {
    costs: {
      alertMinor: alertCost ?? base.alertMinor,
      wrongBlockFixedMinor: wrongBlockCost ?? base.wrongBlockFixedMinor,
      wrongBlockShare: wrongBlockShare ?? base.wrongBlockShare,
      flagSavesShare: base.flagSavesShare,
    },
    from: words.length === 0 ? 'none given' : words.join(', else '),
  }
}

/** Minor units of the reference currency. */
function moneyOption(text: string): number {
  const parsed = parseAmount(text, HUNDREDTHS)
  if (parsed.ok) return parsed.amountMinor
  throw new InvalidArgumentError(`${text} ${parsed.problem}.`)
}
