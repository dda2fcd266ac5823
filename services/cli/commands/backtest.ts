// sluice backtest: evaluates policies on history from the lake or from files, without Kafka or Redis.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { mappingText } from '../../core/files/column-mapping.ts'
import { rangeBetween } from '../../core/files/event-time.ts'
import { builtInPolicy } from '../../core/policy/score-ruling.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { loadLakeConfig } from '../../lake/index.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import {
  addBacktestOptions,
  BACKTEST_DEFAULTS,
  costsFor,
  type BacktestCommandOptions,
} from '../backtest/backtest-options.ts'
import { type RowSource, openFileSource, openLakeSource } from '../backtest/row-source.ts'
import {
  ListsOfRows,
  type LoadedPolicy,
  ModelThresholds,
  featuresOf,
  listsNamedBy,
  loadLists,
  loadPolicies,
  namedFile,
  needModel,
} from '../backtest/load-policies.ts'
import { reportJson } from '../backtest/report-rows.ts'
import { reportPage, reportTable } from '../backtest/report-page.ts'
import { runBacktest, type BacktestOptions } from '../backtest/run-backtest.ts'
import { interruptSignal, printJson, printLine, printProgress, repositoryRoot } from '../command.ts'
import { importMappingOf } from '../lake/import-command.ts'
import { storesOf } from '../model/model-stream.ts'
import { findNamedRuleset } from '../policy/policy-stream.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const LIVE = 'live'

const EXAMPLES = `
Examples:
  $ sluice backtest --policy new.yaml --from 2026-10-01 --to 2026-10-31
  $ sluice backtest --policy a.yaml --policy b.yaml=bold --analysts 6 --alert-cost 4.50 --html report.html
  $ sluice backtest --policy new.yaml --list vip=vip.json --json > report.json
  $ sluice backtest --policy new.yaml --lists-of 12
  $ sluice backtest --data history.csv.gz --model models/simulator --policy new.yaml

What the figures mean, and what a backtest cannot tell: docs/backtest.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('backtest')
    .summary('try policies on what was decided, without Kafka')
    .description(
      'Rules every transaction of the range under each policy, with the features and scores of the time, and compares ' +
        'outcomes, money, alerts and errors with what was decided. All policies are ruled in one pass.',
    )
  addBacktestOptions(command).addHelpText('after', EXAMPLES).action(run)
}

async function run(options: BacktestCommandOptions): Promise<void> {
  const signal = interruptSignal()
  const policies = await loadPolicies(options.policy.map(namedFile))
  const [live = null] = await loadPolicies(
    options.live === undefined ? [] : [{ file: options.live, name: LIVE }],
  )
  const all = live === null ? policies : [...policies, live]
  const lists = await listsFor(options, all)
  const { costs, from } = costsFor(options, policies)
  const source =
    options.data === undefined
      ? await lakeSource(options, all, lists)
      : await fileSource(options, options.data, all, lists)
  try {
    const report = await runBacktest(
      source,
      {
        policies,
        live: { name: LIVE, policy: live, builtIn: builtInFor(options) },
        breakerResetMs:
          options.beforeBreaker === true
            ? null
            : (options.breakerReset ?? BACKTEST_DEFAULTS.breakerResetHours * HOUR_MS),
        maturityMs: options.labelMaturityDays * DAY_MS,
        costs,
        costsFrom: from,
        analysts: options.analysts ?? null,
        examplesMax: options.examples,
        lists,
      },
      signal,
    )
    if (options.html !== undefined) await writePage(options.html, reportPage(report))
    if (options.json === true) printJson(reportJson(report))
    else for (const line of reportTable(report)) printLine(line)
    for (const warning of report.warnings) printProgress(warning)
  } finally {
    await source.close()
  }
}

/** Files do not record decisions, so the baseline is the built-in policy with the model's thresholds. */
function builtInFor({ data }: BacktestCommandOptions): BacktestOptions['live']['builtIn'] {
  if (data === undefined) return null
  const policy = builtInPolicy({ mode: 'enforce', leaseMs: DAY_MS, unscoredOutcome: 'flag' })
  return () => policy
}

/** Lists of the policies. Given files take precedence. */
async function listsFor(
  options: BacktestCommandOptions,
  policies: readonly LoadedPolicy[],
): Promise<ListsOfRows> {
  const store = storesOf(options).policies
  const { list, listsOf } = options
  return new ListsOfRows({
    store,
    names: listsNamedBy(policies),
    files: await loadLists(list ?? []),
    fixed: listsOf === undefined ? null : await findNamedRuleset(store, listsOf),
  })
}

function lakeSource(
  options: BacktestCommandOptions,
  policies: readonly LoadedPolicy[],
  lists: ListsOfRows,
): Promise<RowSource> {
  const folders = [options.model, join(repositoryRoot(), 'models', 'simulator')]
  return openLakeSource({
    folder: options.lake ?? loadLakeConfig(process.env).folder,
    ...rangeBetween(options.from, options.to),
    asOfMs: options.asOf ?? null,
    features: featuresOf(policies),
    lists,
    thresholds: new ModelThresholds({
      store: storesOf(options).models,
      folders: folders.filter((folder) => folder !== undefined),
      askedBy: needModel(policies).map(({ name }) => name),
    }),
  })
}

async function fileSource(
  options: BacktestCommandOptions,
  files: readonly string[],
  policies: readonly LoadedPolicy[],
  lists: ListsOfRows,
): Promise<RowSource> {
  const model = await modelFor(options, policies)
  const { info } = model ?? {}
  return openFileSource({
    files,
    ...rangeBetween(options.from, options.to),
    asOfMs: options.asOf ?? Infinity,
    mapping: importMappingOf(options),
    onMapping: (file, mapping) => {
      printProgress(`columns of ${file}: ${mappingText(mapping)}`)
    },
    delimiter: options.delimiter,
    scoreColumn: options.scoreColumn,
    sort: options.sort === true,
    skipBad: options.skipBad === true,
    labelDelayMs: options.labelDelay ?? BACKTEST_DEFAULTS.labelDelayDays * DAY_MS,
    lists,
    model,
    modelThresholds: { flag: info?.flagThreshold ?? NaN, block: info?.blockThreshold ?? NaN },
  })
}

/** Null when no policy uses a model and rows bring their scores. */
async function modelFor(
  { model, live }: BacktestCommandOptions,
  policies: readonly LoadedPolicy[],
): Promise<ScoringModel | null> {
  if (model !== undefined) {
    const opened = await openScoringModel({
      folder: model,
      backend: 'auto',
      referenceCurrency: configuredRates().reference,
    })
    printProgress(`model ${opened.info.version} on ${opened.info.backend}`)
    return opened
  }
  const asking = needModel(policies).map(({ name }) => name)
  if (live !== undefined && asking.length === 0) return null
  throw new SluiceError(
    'SLUICE_USAGE',
    live === undefined
      ? 'sluice backtest: files do not say what was decided: give the policy of the time with --live <file>, or --model <folder>, whose thresholds then stand for it.'
      : `sluice backtest: ${asking.join(', ')} goes by the thresholds of a model; give its folder with --model.`,
  )
}

async function writePage(file: string, html: string): Promise<void> {
  try {
    await writeFile(file, html)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError('SLUICE_USAGE', `${file} cannot be written: ${problem}.`, {
      cause: error,
    })
  }
  printProgress(`wrote ${file}`)
}
