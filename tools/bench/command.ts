// sluice bench: throughput and latency of the pipeline on this machine, and cost of each process per event.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Argument, type Command } from 'commander'
import { VARIABLES } from '../../services/platform/config/variables.ts'
import { provisionStack } from '../servers/stack.ts'
import {
  BACKEND_BATCHES,
  runBackendsBench,
  type BackendsResult,
  cascadeOf,
} from './backends-bench.ts'
import { denseNet, modelNet, secondStageNet } from './bench-nets.ts'
import { runFeaturesBench } from './features-bench.ts'
import { openBenchServers, type BenchServers } from './bench-servers.ts'
import { reportLines, reportProblems, type BenchReport } from './bench-report.ts'
import { describeMachine } from './machine.ts'
import { runGatewayBench } from './gateway-bench.ts'
import { runLiveBench } from './live-bench.ts'
import { summarizeProfile } from './profile-summary.ts'
import { runReasonsBench } from './reasons-bench.ts'
import { runReplayBench } from './replay-bench.ts'
import { runScoringBench } from './scoring-bench.ts'
import { runSizingBench } from './sizing-bench.ts'
import { runSwapBench } from './swap-bench.ts'
import { runTakeoverBench } from './takeover-bench.ts'
import { runTracingBench } from './tracing-bench.ts'
import {
  interruptSignal,
  parseInteger,
  parseNumber,
  printJson,
  printLine,
  printProgress,
  repositoryRoot,
} from '../../services/cli/command.ts'
import { durationOption } from '../../services/cli/commands/produce.ts'

const NAMES = [
  'scoring',
  'replay',
  'live',
  'sizing',
  'takeover',
  'tracing',
  'features',
  'backends',
  'swap',
  'reasons',
  'gateway',
] as const
type Name = (typeof NAMES)[number]
/** Benchmarks that run if no name is given. Each of the others answers one question and takes long. */
const USUAL: readonly Name[] = ['scoring', 'replay', 'live']

/** An empty report, without benchmarks that need servers. */
const NOT_MEASURED = {
  replay: null,
  live: null,
  sizing: null,
  takeover: null,
  tracing: null,
  features: null,
  swap: null,
  reasons: null,
  gateway: null,
  profile: null,
}

const EXIT_WRONG = 1
const COUNT_MAX = 100_000_000
const BATCH_SIZE_MAX = 4_096
const LIVE_BATCH_SIZE_MAX = 512
const SCORING_MEASURE_MS = 500
const BACKENDS_MEASURE_MS = 1_000
/** Shapes of nets for which published figures exist. */
const BACKENDS_NETS = [
  [64, 128, 64, 1],
  [64, 1_024, 1_024, 1],
] as const
const PROFILE_FUNCTIONS_MAX = 15
const GROWTH_EVENTS = 2_000
/** Assumption: a round number near cloud prices of a shared core. */
const CORE_HOUR_PRICE = 0.05

interface BenchCommandOptions {
  readonly json?: boolean
  readonly count: number
  readonly scorers: number
  readonly runs: number
  readonly batch: number
  readonly cards: number
  readonly rate: number
  readonly duration: number
  readonly warmUp: number
  readonly profile?: string
  readonly model: readonly string[]
  readonly coreHourPrice: number
}

const DESCRIPTION =
  'Measures the pipeline on this machine, on topics and state of its own that are deleted afterwards.\n' +
  'scoring: rows per second of the model, by backend and batch size. replay: events per second of\n' +
  'scorers on a full topic. live: latency from intended send time to alert, open loop. These three by\n' +
  'default. sizing: memory per card and entity in Redis, and disk per transaction, after a replay. takeover: how\n' +
  'long partitions stand still when a scorer is stopped, started or killed. tracing: processor time of the\n' +
  'scorer with tracing off and on, in turns of replays. features: the features and the state codec in memory, the\n' +
  'same over Redis without Kafka, and as the history of one card grows. backends: every backend that\n' +
  'works here x models x batches of 1 to 16,384 rows, without a server, and what both stages of a\n' +
  'cascade cost for a million payments. swap: latency of decisions before,\n' +
  'during and after changes of the model under load. reasons: the cost of explaining alerts when 1 % is\n' +
  'flagged, the same replay with and without, in turns. gateway: answers of the gateway from the intended send time\n' +
  'of requests, open loop.\n' +
  'Exits 1 when an event was lost, doubled or not scored.'

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('bench')
    .summary('measure the pipeline on this machine')
    .description(DESCRIPTION)
    .addArgument(new Argument('[name]', 'one of them').choices([...NAMES]))
    .option(
      '--count <n>',
      'replay, sizing, features, reasons: transactions',
      parseInteger(1, COUNT_MAX),
      400_000,
    )
    .option(
      '--runs <n>',
      'replay, features, reasons: runs, whose median counts',
      parseInteger(1, 99),
      3,
    )
    .option(
      '--batch <n>',
      'replay, sizing: largest micro-batch',
      parseInteger(1, BATCH_SIZE_MAX),
      2_048,
    )
    .option('--scorers <n>', 'replay: processes that share the partitions', parseInteger(1, 8), 1)
    .option('--cards <n>', 'cards of the load', parseInteger(1, 1_000_000), 2_000)
    .option(
      '--rate <per second>',
      'live, takeover, swap, gateway: transactions sent',
      parseInteger(1, 1_000_000),
      5_000,
    )
    .option(
      '--duration <duration>',
      'live, gateway: measured time, such as 60s',
      durationOption,
      60_000,
    )
    .option('--warm-up <duration>', 'live, gateway: time before it', durationOption, 10_000)
    .option('--profile <file>', 'replay: write a profile of the scorer and summarise it')
    .option('--model <folder...>', 'backends: models to score with', ['models/simulator'])
    .option(
      '--core-hour-price <amount>',
      'backends: price of one core for an hour, in any currency',
      parseNumber(0, 1_000),
      CORE_HOUR_PRICE,
    )
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice bench\n  $ sluice bench replay --runs 1 --profile scorer.cpuprofile\n' +
        '  $ sluice bench live --rate 5000 --duration 10m --json\n' +
        '  $ sluice bench backends --model models/simulator',
    )
    .action(async (name: Name | undefined, options: BenchCommandOptions) => {
      const report = await measure(name === undefined ? USUAL : [name], options)
      if (options.json === true) printJson(report)
      else for (const line of reportLines(report)) printLine(line)
      if (reportProblems(report).length > 0) process.exitCode = EXIT_WRONG
    })
}

async function measure(names: readonly Name[], options: BenchCommandOptions): Promise<BenchReport> {
  const machine = describeMachine()
  const signal = interruptSignal()
  const scoring = names.includes('scoring')
    ? await runScoringBench({ measureMs: SCORING_MEASURE_MS }, printProgress)
    : null
  const backends = names.includes('backends') ? await measureBackends(options) : null
  if (names.every((name) => name === 'scoring' || name === 'backends')) {
    return {
      ...NOT_MEASURED,
      machine,
      servers: null,
      scoring,
      backends,
    }
  }
  const stack = await provisionStack({ root: repositoryRoot(), onProgress: printProgress, signal })
  try {
    const servers = await openBenchServers(stack.kafka, stack.redis)
    try {
      const onServers = await measureOnServers(names, options, servers, signal)
      return { machine, servers: servers.versions, scoring, backends, ...onServers }
    } finally {
      await servers.close()
    }
  } finally {
    await stack.stop()
  }
}

async function measureBackends({
  model,
  coreHourPrice,
}: BenchCommandOptions): Promise<BackendsResult> {
  const rowCount = Math.max(...BACKEND_BATCHES)
  const folders = await Promise.all(
    model.map(async (folder) => ({ folder, parts: await cascadeOf(folder) })),
  )
  const nets = [
    ...folders.flatMap(({ folder, parts }) =>
      parts === null
        ? [modelNet(folder, rowCount)]
        : [
            modelNet(folder, rowCount, parts.firstStage),
            secondStageNet(folder, rowCount, parts.secondStage),
          ],
    ),
    ...BACKENDS_NETS.map((widths) => denseNet(widths, rowCount)),
  ]
  const options = {
    measureMs: BACKENDS_MEASURE_MS,
    batches: BACKEND_BATCHES,
    cascades: folders.flatMap(({ parts }) => parts ?? []),
    coreHourPrice,
  }
  return runBackendsBench(nets, options, printProgress)
}

async function measureOnServers(
  names: readonly Name[],
  options: BenchCommandOptions,
  servers: BenchServers,
  signal: AbortSignal,
): Promise<Pick<BenchReport, keyof typeof NOT_MEASURED>> {
  const deps = { servers, signal, onProgress: printProgress }
  const { cards } = options
  const load = { transactions: options.count, cards, batchSizeMax: options.batch }
  const inRounds = { ...load, runs: options.runs }
  const profileFile = options.profile === undefined ? null : resolve(options.profile)
  const replay = names.includes('replay')
    ? await runReplayBench({ ...inRounds, scorers: options.scorers, profileFile }, deps)
    : null
  const live = names.includes('live')
    ? await runLiveBench(
        {
          ratePerSecond: options.rate,
          durationMs: options.duration,
          warmUpMs: options.warmUp,
          batchSizeMax: LIVE_BATCH_SIZE_MAX,
          cards,
        },
        deps,
      )
    : null
  const sizing = names.includes('sizing') ? await runSizingBench(load, deps) : null
  const takeover = names.includes('takeover')
    ? await runTakeoverBench({ ratePerSecond: options.rate, cards }, deps)
    : null
  const tracing = names.includes('tracing') ? await runTracingBench(inRounds, deps) : null
  const features = names.includes('features')
    ? await runFeaturesBench(featuresOptions(options), { ...deps, codecs: servers.codecs })
    : null
  const swap = names.includes('swap')
    ? await runSwapBench({ ratePerSecond: options.rate, cards }, deps)
    : null
  const reasons = names.includes('reasons') ? await runReasonsBench(inRounds, deps) : null
  const gateway = names.includes('gateway')
    ? await runGatewayBench(
        {
          ratePerSecond: options.rate,
          durationMs: options.duration,
          warmUpMs: options.warmUp,
          cards,
        },
        deps,
      )
    : null
  const profile =
    profileFile === null || replay === null
      ? null
      : summarizeProfile(readFileSync(profileFile, 'utf8'), PROFILE_FUNCTIONS_MAX)
  return { replay, live, sizing, takeover, tracing, features, swap, reasons, gateway, profile }
}

function featuresOptions({ count: transactions, cards, runs }: BenchCommandOptions) {
  return {
    transactions,
    cards,
    runs,
    cacheBytesMax: VARIABLES.SLUICE_STATE_CACHE_MIB.default * 2 ** 20,
    growthEvents: GROWTH_EVENTS,
    heldMax: Infinity,
  }
}
