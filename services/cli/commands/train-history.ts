// Sources of the history for `sluice train`: the simulator, CSV files, the lake, or the topics. Turns the options into
// one stream of events.

import { Option } from 'commander'
import type { Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { rangeBetween } from '../../core/files/event-time.ts'
import { erasedText } from '../../core/lake/lake-log.ts'
import { loadProducerConfig, mappingText, openReplay } from '../../producer/index.ts'
import { SIMULATION_START_MS, SIMULATOR_DEFAULTS } from '../../../tools/simulator/options.ts'
import { simulate } from '../../../tools/simulator/simulate.ts'
import type { ColumnMapping, FieldConstants, TimeRange } from '../../producer/index.ts'
import { OPEN_TERMS, OWNED_TERMS, readTopicHistory } from '../../trainer/index.ts'
import type { HistoryEvent, ReleaseTerms } from '../../trainer/index.ts'
import { parseInteger, printProgress } from '../command.ts'
import { constantsOption, durationOption, mappingOption, timeRangeOption } from './produce.ts'

const DAY_MS = 86_400_000
const SIMULATED_DAYS_DEFAULT = 75
const SIMULATED_CARDS_DEFAULT = 3_000

/** Differs from the demo's seed, so that the demo's cards are new to the model. */
const SIMULATOR_SEED_DEFAULT = 1_001

/** Options that select the source of the history; an absent one takes its default. */
export interface HistoryOptions {
  readonly simulate?: boolean
  readonly simulateSeed?: number
  readonly cards?: number
  readonly days?: number
  readonly data?: readonly string[]
  readonly from?: TimeRange
  readonly to?: TimeRange
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly sort?: boolean
  readonly skipBad?: boolean
  readonly lake?: string
  readonly topics?: boolean
  readonly brokers?: string
  readonly topicPrefix?: string
}

/** Events in order, and their description for the model card. */
export interface History {
  readonly events: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>
  readonly source: string
  readonly caveat: string
  /** Terms under which a model of this history may be released. */
  readonly terms: ReleaseTerms
  /** Options that reproduce the history, without paths of this machine. */
  readonly options: readonly string[]
  /** Number of unreadable rows or messages left out so far. */
  readonly unreadable: () => number
}

/** Adds the options of all sources to a command. */
export function addHistoryOptions(command: Command): void {
  command
    .addOption(
      new Option('--simulate', 'history from the simulator').conflicts(['data', 'lake', 'topics']),
    )
    .option(
      '--simulate-seed <integer>',
      `seed of the simulated world (default ${SIMULATOR_SEED_DEFAULT})`,
      parseInteger(0, 4_294_967_295),
    )
    .option(
      '--cards <count>',
      `simulated cards (default ${SIMULATED_CARDS_DEFAULT})`,
      parseInteger(1, 100_000),
    )
    .option(
      '--days <count>',
      `simulated days (default ${SIMULATED_DAYS_DEFAULT})`,
      parseInteger(1, 1_000),
    )
    .addOption(
      new Option('--data <path...>', 'history from CSV files, or folders of them').conflicts([
        'simulate',
        'lake',
        'topics',
      ]),
    )
    .option(
      '--from <date>',
      'first event time, or day in UTC, of --data or --lake',
      timeRangeOption,
    )
    .option(
      '--to <date>',
      'last event time, or day in UTC, included; with --lake, labels known later do not count',
      timeRangeOption,
    )
    .option('--map <field=column,...>', 'columns of --data, as in "sluice produce"', mappingOption)
    .option('--set <field=value,...>', 'the same value for every row of --data', constantsOption)
    .option(
      '--label-delay <duration>',
      'when labels of --data are known (default 7d)',
      durationOption,
    )
    .option('--sort', 'order the rows of each file of --data by time')
    .option('--skip-bad', 'leave out rows of --data that cannot be read')
    .addOption(
      new Option('--lake <folder>', 'history from a lake, see "sluice lake"').conflicts([
        'simulate',
        'data',
        'topics',
      ]),
    )
    .addOption(
      new Option('--topics', 'history from Kafka, all that is kept').conflicts([
        'simulate',
        'data',
        'lake',
      ]),
    )
    .option('--brokers <host:port,...>', 'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:9092)')
    .option('--topic-prefix <prefix>', 'before topic names (default SLUICE_TOPIC_PREFIX or none)')
}

/** @throws SluiceError SLUICE_USAGE when no source is given, and errors of the source. */
export async function openHistory(options: HistoryOptions): Promise<History> {
  if (options.simulate === true) return simulatedHistory(options)
  if (options.data !== undefined) return fileHistory(options, options.data)
  if (options.lake !== undefined) return lakeHistory(options, options.lake)
  if (options.topics === true) return topicHistory(options)
  throw new SluiceError(
    'SLUICE_USAGE',
    'sluice train: say where the history comes from: --simulate, --data <path...>, --lake <folder> or --topics.',
  )
}

function simulatedHistory(options: HistoryOptions): History {
  const seed = options.simulateSeed ?? SIMULATOR_SEED_DEFAULT
  const cards = options.cards ?? SIMULATED_CARDS_DEFAULT
  const days = options.days ?? SIMULATED_DAYS_DEFAULT
  // Terminals and merchants grow with the cards, so that each stays as busy as with the simulator's defaults.
  const growth = cards / SIMULATOR_DEFAULTS.cards
  return {
    events: simulate({
      seed,
      cards,
      terminals: Math.max(1, Math.round(SIMULATOR_DEFAULTS.terminals * growth)),
      merchants: Math.max(2, Math.round(SIMULATOR_DEFAULTS.merchants * growth)),
      untilMs: SIMULATION_START_MS + days * DAY_MS,
    }),
    source: `simulator, seed ${seed}, ${cards} cards, ${days} days`,
    caveat:
      'Trained and measured on simulated data only: the figures say nothing about real payments, and it must ' +
      'not decide about any.',
    terms: OPEN_TERMS,
    options: ['--simulate', `--simulate-seed ${seed}`, `--cards ${cards}`, `--days ${days}`],
    unreadable: () => 0,
  }
}

async function fileHistory(options: HistoryOptions, paths: readonly string[]): Promise<History> {
  const events = await openReplay(
    {
      paths,
      bounds: rangeBetween(options.from, options.to),
      ...(options.map === undefined ? {} : { mapping: options.map }),
      ...(options.set === undefined ? {} : { constants: options.set }),
      ...(options.labelDelay === undefined ? {} : { labelDelayMs: options.labelDelay }),
      ...(options.sort === undefined ? {} : { sort: options.sort }),
      ...(options.skipBad === undefined ? {} : { skipBad: options.skipBad }),
    },
    (file, mapping) => {
      printProgress(`columns of ${file}: ${mappingText(mapping)}`)
    },
  )
  return {
    events,
    source: `${events.files.length} CSV files`,
    caveat: 'Trained and measured on recorded files: what they leave out, the model cannot know.',
    terms: OWNED_TERMS,
    options: [
      '--data <folder>',
      ...(options.from === undefined ? [] : [`--from ${isoText(options.from.fromMs)}`]),
      ...(options.to === undefined ? [] : [`--to ${isoText(options.to.endMs - 1)}`]),
      ...(options.labelDelay === undefined ? [] : [`--label-delay ${options.labelDelay / 1_000}s`]),
    ],
    unreadable: () => Object.values(events.skipped()).reduce((sum, count) => sum + count, 0),
  }
}

async function lakeHistory(options: HistoryOptions, folder: string): Promise<History> {
  const { readErasures, readLakeHistory } = await import('../../lake/index.ts')
  const erased = erasedText(await readErasures(folder))
  if (erased !== null) printProgress(erased)
  return {
    events: readLakeHistory({
      folder,
      ...rangeBetween(options.from, options.to),
    }),
    source: 'lake',
    caveat: `Trained and measured on what the lake holds: other payments had no part in it.${erased === null ? '' : ` ${erased}`}`,
    terms: OWNED_TERMS,
    options: [
      '--lake <folder>',
      ...(options.from === undefined ? [] : [`--from ${isoText(options.from.fromMs)}`]),
      ...(options.to === undefined ? [] : [`--to ${isoText(options.to.endMs - 1)}`]),
    ],
    unreadable: () => 0,
  }
}

async function topicHistory(options: HistoryOptions): Promise<History> {
  const [{ createCodecs }, { openSchemaRegistry }] = await Promise.all([
    import('../../core/wire/codecs.ts'),
    import('../../platform/registry/http-registry.ts'),
  ])
  const config = loadProducerConfig(process.env)
  const topicPrefix = options.topicPrefix ?? config.topicPrefix
  const registry = openSchemaRegistry({ url: config.registryUrl, topicPrefix, register: false })
  let unreadable = 0
  const events = await readTopicHistory({
    ...config,
    ...(options.brokers === undefined ? {} : { brokers: options.brokers.split(',') }),
    topicPrefix,
    codecs: createCodecs(await registry.load()),
    onProgress: printProgress,
    onUnreadable: (count) => {
      unreadable = count
    },
  })
  return {
    events,
    source: `topics ${topicPrefix}transactions and ${topicPrefix}labels`,
    caveat: 'Trained and measured on what the topics kept: older payments had no part in it.',
    terms: OWNED_TERMS,
    options: ['--topics'],
    unreadable: () => unreadable,
  }
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}
