// sluice features check, diff and cost: catalogues of features before a stream uses them.

import type { Command } from 'commander'
import { configuredRates } from '../../platform/config/rates-setting.ts'
import { SluiceError } from '../../core/errors.ts'
import { compareCatalogues } from '../../core/features/catalogue/catalogue-file.ts'
import type { FeatureDefinition } from '../../core/features/catalogue/feature-definition.ts'
import {
  FEATURE_LIST_HASH,
  FEATURES,
  hashOfFeatures,
} from '../../core/features/catalogue/feature-list.ts'
import { compileFeaturePlan } from '../../core/features/engine/feature-plan.ts'
import { HistoryFold } from '../../core/features/engine/history-fold.ts'
import { readCatalogueFile } from '../../platform/own-catalogue.ts'
import { simulate } from '../../../tools/simulator/simulate.ts'
import type { StreamEvent } from '../../producer/stream-event.ts'
import { parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { faultCount, faultLines } from '../policy/policy-stream.ts'

const EXIT_FAULTY = 2
const COST_TRANSACTIONS = 100_000
const COST_TRANSACTIONS_MAX = 2_000_000
const COST_ROUNDS = 3
const COST_SEED = 7
/** Events between two looks at the clock; they are simulated outside the measured time. */
const COST_CHUNK = 1_000

interface JsonOption {
  readonly json?: boolean
}

interface CostOptions extends JsonOption {
  readonly count: number
}

/** Adds the subcommands to `sluice features`. */
export function registerCatalogue(features: Command): void {
  features
    .command('check')
    .summary('find all faults of a catalogue')
    .description(
      'Reads a catalogue as a process would and prints every fault with line and column. Exits 0 when there is none, ' +
        '2 otherwise. Needs no Kafka.',
    )
    .argument('<file>', 'the catalogue, YAML')
    .option('--json', 'print JSON')
    .action(check)
  features
    .command('diff')
    .summary('compare a catalogue with the one in use')
    .description(
      'Prints which features a catalogue adds, removes and changes. Models and state belong to one catalogue: after a ' +
        'change train a model with it; scorers rebuild their state from the log.',
    )
    .argument('<file>', 'the catalogue, YAML')
    .option('--json', 'print JSON')
    .action(diff)
  features
    .command('cost')
    .summary('measure what a catalogue costs a transaction')
    .description(
      'Computes the features of simulated transactions with this catalogue and with the one in use, in turns, in this ' +
        'process, and prints the processor time of a transaction with each.',
    )
    .argument('<file>', 'the catalogue, YAML')
    .option(
      '--count <n>',
      'simulated transactions',
      parseInteger(1_000, COST_TRANSACTIONS_MAX),
      COST_TRANSACTIONS,
    )
    .option('--json', 'print JSON')
    .action(cost)
}

function check(file: string, { json }: JsonOption): void {
  const parsed = readCatalogueFile(file)
  if (!parsed.ok) process.exitCode = EXIT_FAULTY
  if (json === true) {
    printJson(parsed.ok ? { ...parsed, hash: hashOfFeatures(parsed.features) } : parsed)
    return
  }
  if (!parsed.ok) {
    for (const line of faultLines(file, parsed.faults)) printLine(line)
    printProgress(faultCount(parsed.faults))
    return
  }
  const { features } = parsed
  printLine(`${file}: ${features.length} features, hash ${hashOfFeatures(features)}: no fault`)
}

function diff(file: string, { json }: JsonOption): void {
  const features = catalogueOf(file)
  const difference = compareCatalogues(FEATURES, features)
  const hash = hashOfFeatures(features)
  const isSame = hash === FEATURE_LIST_HASH
  if (json === true) {
    printJson({ isSame, hash, hashInUse: FEATURE_LIST_HASH, ...difference })
    return
  }
  const { added, removed, changed, isReordered } = difference
  for (const name of added) printLine(`+ ${name}`)
  for (const name of removed) printLine(`- ${name}`)
  for (const name of changed) printLine(`~ ${name}`)
  if (isReordered) printLine('The features that both have stand in another order.')
  printLine(
    isSame
      ? 'Both compute the same: models and state remain valid.'
      : 'Models of one catalogue are refused with the other: train a model with this one.',
  )
}

function cost(file: string, { count, json }: CostOptions): void {
  const other = catalogueOf(file)
  const inUse: number[] = []
  const ofFile: number[] = []
  for (let round = 0; round < COST_ROUNDS; round += 1) {
    printProgress(`round ${round + 1} of ${COST_ROUNDS}`)
    inUse.push(microsecondsOf(FEATURES, count))
    ofFile.push(microsecondsOf(other, count))
  }
  const result = {
    transactions: count,
    inUse: { features: FEATURES.length, cpuMicroseconds: middle(inUse) },
    file: { features: other.length, cpuMicroseconds: middle(ofFile) },
  }
  if (json === true) {
    printJson(result)
    return
  }
  printLine(
    `CPU us of the features of a transaction, medians of ${COST_ROUNDS} passes over ${count} simulated ones:`,
  )
  printLine(`  in use  ${result.inUse.cpuMicroseconds.toFixed(1)} (${FEATURES.length} features)`)
  printLine(`  ${file}  ${result.file.cpuMicroseconds.toFixed(1)} (${other.length} features)`)
}

/** Processor time of a transaction in the second half of a pass, when the state has its usual size. */
function microsecondsOf(features: readonly FeatureDefinition[], count: number): number {
  const fold = new HistoryFold({ rates: configuredRates(), plan: compileFeaturePlan(features) })
  const row = new Float64Array(features.length)
  const half = Math.floor(count / 2)
  let spentUs = 0
  let done = 0
  const compute = (events: readonly StreamEvent[]): void => {
    const before = process.cpuUsage()
    for (const event of events) {
      if (event.kind === 'label') fold.label(event.label)
      else fold.transaction(event.transaction, row, 0)
    }
    const { user, system } = process.cpuUsage(before)
    if (done >= half) spentUs += user + system
    done += events.length
  }
  const chunk: StreamEvent[] = []
  for (const event of simulate({ seed: COST_SEED, transactionsMax: count })) {
    chunk.push(event)
    if (chunk.length === COST_CHUNK) compute(chunk.splice(0))
  }
  compute(chunk)
  return spentUs / (count - half)
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

function catalogueOf(file: string): readonly FeatureDefinition[] {
  const parsed = readCatalogueFile(file)
  if (parsed.ok) return parsed.features
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${file} is no catalogue of features; it has ${faultCount(parsed.faults)}:\n${faultLines(file, parsed.faults).join('\n')}`,
  )
}
