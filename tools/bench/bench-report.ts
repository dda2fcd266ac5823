// The report of `sluice bench` for people. Programs use --json.

import { tableLines } from '../../services/cli/table.ts'
import { type BackendsResult, backendsLines, backendsProblems } from './backends-bench.ts'
import { type FeaturesResult, featuresLines } from './features-bench.ts'
import { count, cpuText, type LatencySummary, mebibytes, milliseconds } from './statistics.ts'
import type { ServerVersions } from './machine.ts'
import type { Machine } from './machine.ts'
import type { GatewayBenchResult } from './gateway-bench.ts'
import type { LiveResult } from './live-bench.ts'
import type { ProfileSummary } from './profile-summary.ts'
import { reasonsLines, type ReasonsBenchResult } from './reasons-bench.ts'
import type { ReplayResult, ReplayRun } from './replay-bench.ts'
import type { BackendResult } from './scoring-bench.ts'
import type { SizingResult, StateSize } from './sizing-bench.ts'
import { type SwapResult, swapLines } from './swap-bench.ts'
import type { TakeoverResult } from './takeover-bench.ts'
import type { TracingBenchResult } from './tracing-bench.ts'

const GIBIBYTE = 1024 ** 3
const INDENTED = { indent: '  ' }

/** Results of one run of `sluice bench`; null for a benchmark that was not requested. */
export interface BenchReport {
  readonly machine: Machine
  readonly servers: ServerVersions | null
  readonly scoring: readonly BackendResult[] | null
  readonly replay: ReplayResult | null
  readonly live: LiveResult | null
  readonly gateway: GatewayBenchResult | null
  readonly sizing: SizingResult | null
  readonly takeover: TakeoverResult | null
  readonly tracing: TracingBenchResult | null
  readonly swap: SwapResult | null
  readonly reasons: ReasonsBenchResult | null
  readonly features: FeaturesResult | null
  readonly backends: BackendsResult | null
  readonly profile: ProfileSummary | null
}

/** Problems that make the figures worthless, as sentences. */
export function reportProblems({
  replay,
  live,
  gateway,
  scoring,
  takeover,
  tracing,
  swap,
  reasons,
  features,
  backends,
}: BenchReport): readonly string[] {
  return [
    ...(replay?.runs ?? []).flatMap(({ problems }, run) =>
      problems.map((problem) => `replay, run ${run + 1}: ${problem}`),
    ),
    ...(live?.problems ?? []).map((problem) => `live: ${problem}`),
    ...(gateway?.problems ?? []).map((problem) => `gateway: ${problem}`),
    ...(takeover?.problems ?? []).map((problem) => `takeover: ${problem}`),
    ...(tracing?.problems ?? []).map((problem) => `tracing, ${problem}`),
    ...(swap?.problems ?? []).map((problem) => `swap: ${problem}`),
    ...(reasons?.problems ?? []).map((problem) => `reasons, ${problem}`),
    ...(features?.problems ?? []).map((problem) => `features: ${problem}`),
    ...(backends === null ? [] : backendsProblems(backends)),
    ...(scoring ?? [])
      .filter(({ hasSameBits }) => hasSameBits === false)
      .map(({ backend }) => `scoring: ${backend} scores a row differently by size of batch.`),
  ]
}

/** The report as lines. */
export function reportLines(report: BenchReport): readonly string[] {
  return [
    ...machineLines(report.machine, report.servers),
    ...(report.scoring === null ? [] : scoringLines(report.scoring)),
    ...(report.replay === null ? [] : replayLines(report.replay)),
    ...(report.profile === null ? [] : profileLines(report.profile)),
    ...(report.live === null ? [] : liveLines(report.live)),
    ...(report.gateway === null ? [] : gatewayLines(report.gateway)),
    ...(report.sizing === null ? [] : sizingLines(report.sizing)),
    ...(report.takeover === null ? [] : takeoverLines(report.takeover)),
    ...(report.tracing === null ? [] : tracingLines(report.tracing)),
    ...(report.swap === null ? [] : swapLines(report.swap)),
    ...(report.reasons === null ? [] : reasonsLines(report.reasons)),
    ...(report.features === null ? [] : featuresLines(report.features)),
    ...(report.backends === null ? [] : backendsLines(report.backends)),
    ...reportProblems(report).map((problem) => `PROBLEM  ${problem}`),
  ]
}

function machineLines(machine: Machine, servers: ServerVersions | null): readonly string[] {
  const packages = Object.entries(machine.packages)
    .filter(([, version]) => version !== null)
    .map(([name, version]) => `${name} ${version ?? ''}`)
  const memory = (machine.memoryBytes / GIBIBYTE).toFixed(1)
  return [
    `Machine   ${machine.cpuModel}, ${machine.cores} cores, ${memory} GiB, ${machine.platform}`,
    `Software  Node ${machine.node}, ${packages.join(', ')}`,
    ...(servers === null ? [] : [`Servers   Kafka ${servers.kafka}, Redis ${servers.redis}`]),
    `Load      ${machine.loadAverage.join(' ')} before the start`,
  ]
}

function scoringLines(results: readonly BackendResult[]): readonly string[] {
  return [
    '',
    'Scoring, rows per second by rows in a batch',
    ...tableLines(
      results.map(({ backend, batches, detail }) => [
        backend,
        batches === null
          ? detail
          : batches
              .map(({ rows, rowsPerSecond }) => `${rows}: ${count(rowsPerSecond)}`)
              .join('   '),
      ]),
      INDENTED,
    ),
  ]
}

function replayLines(result: ReplayResult): readonly string[] {
  const { options, runs, medianEventsPerSecond, medianRatioToConsume } = result
  return [
    '',
    `Replay of ${count(options.transactions)} transactions of ${count(options.cards)} cards, batches of ` +
      `at most ${count(options.batchSizeMax)}, exactly once`,
    `  ${count(medianEventsPerSecond)} events/s from first to last commit (median of ${runs.length}), ` +
      `${medianRatioToConsume.toFixed(3)} of a consumer that only decodes`,
    ...runs.flatMap((run, index) => runLines(run, index + 1)),
  ]
}

function runLines(run: ReplayRun, number: number): readonly string[] {
  const { batches, fill } = run
  const memory =
    run.scorerResidentBytes === null ? '' : `, scorer ${mebibytes(run.scorerResidentBytes)}`
  return [
    `  run ${number}: ${count(run.eventsPerSecond)}/s; with start-up (${count(run.startMs)} ms to join) ` +
      `${count(run.eventsPerSecondWithStart)}/s; only decoding ${count(run.consumeEventsPerSecond)}/s; ` +
      `filled at ${count(fill.eventsPerSecond)}/s`,
    `    in ${count(fill.transactions)} = ${count(batches.decisions)} decisions + ${batches.deadLetters} dead ` +
      `letters; ${count(batches.batchCount)} batches of ${count(run.eventsPerBatch)}; ` +
      `backend ${batches.backends.join(', ')}, model ${batches.modelVersions.join(', ')}`,
    `    CPU us/event: ${cpuText(run.cpuMicrosecondsPerEvent)}${memory}; load ${run.loadAverage[0] ?? 'unknown'}`,
  ]
}

function liveLines(result: LiveResult): readonly string[] {
  const { options, scorerMemory: memory } = result
  const lines = [
    '',
    `Live, open loop at ${count(options.ratePerSecond)}/s for ${options.durationMs / 1_000} s after ` +
      `${options.warmUpMs / 1_000} s of warm-up`,
    latencyLine('decision', result.decisionLatency),
    latencyLine('alert', result.alertLatency),
    `  in ${count(result.transactions)} = ${count(result.decisions)} decisions; ${count(result.alerts)} alerts; ` +
      `${result.eventsPerBatch.toFixed(1)} events a batch; producer ${result.producerBehindMs} ms behind`,
    `  CPU us/event: ${cpuText(result.cpuMicrosecondsPerEvent)}; load ${result.loadAverage[0] ?? 'unknown'}`,
  ]
  if (memory !== null) {
    const rise = memory.slopeMebibytesPerMinute
    lines.push(
      `  scorer memory: ${mebibytes(memory.firstMedianBytes)} at first, ` +
        `${mebibytes(memory.lastMedianBytes)} at last, ${mebibytes(memory.maxBytes)} at most, ` +
        `${rise === null ? 'unknown' : rise.toFixed(1)} MiB a minute`,
    )
  }
  return lines
}

function gatewayLines(result: GatewayBenchResult): readonly string[] {
  const { options, latency } = result
  const percentiles =
    latency === null
      ? '  no answer in the measured time'
      : `  intended send time to answer: p50 ${milliseconds(latency.p50Ms)}, p90 ${milliseconds(latency.p90Ms)}, ` +
        `p99 ${milliseconds(latency.p99Ms)}, p99.9 ${milliseconds(latency.p999Ms)}, max ` +
        `${milliseconds(latency.maxMs)} (${count(latency.samples)} answers)`
  return [
    '',
    `Gateway, open loop at ${count(options.ratePerSecond)}/s for ${options.durationMs / 1_000} s after ` +
      `${options.warmUpMs / 1_000} s of warm-up`,
    percentiles,
    `  decided within 80 ms: ${(100 * result.inTimeShare).toFixed(2)} %; ${count(result.fallbacks)} fallbacks; ` +
      `${count(result.requests)} requests; client ${milliseconds(result.behindMs)} behind at the end`,
    `  CPU us/request: ${cpuText(result.cpuMicrosecondsPerRequest)}; load ${result.loadAverage[0] ?? 'unknown'}`,
  ]
}

function latencyLine(what: 'decision' | 'alert', latency: LatencySummary | null): string {
  if (latency === null) return `  no ${what} in the measured time`
  return (
    `  event to ${what} at a committed reader: p50 ${milliseconds(latency.p50Ms)}, p90 ` +
    `${milliseconds(latency.p90Ms)}, p99 ${milliseconds(latency.p99Ms)}, p99.9 ` +
    `${milliseconds(latency.p999Ms)}, max ${milliseconds(latency.maxMs)} (${count(latency.samples)} ${what}s)`
  )
}

function sizingLines(result: SizingResult): readonly string[] {
  const disk = result.diskBytesPerTransaction
  const diskText =
    disk === null
      ? "unknown: the broker's folder is not ours to see"
      : Object.entries(disk)
          .filter(([, bytes]) => bytes > 0)
          .map(([topic, bytes]) => `${topic} ${count(bytes)}`)
          .join(', ')
  return [
    '',
    `Sizing after ${count(result.transactions)} transactions and ${count(result.labels)} labels of ` +
      `${count(result.options.cards)} cards`,
    `  Redis: cards ${stateText(result.cards)}`,
    `  Redis: parts of shared entities ${stateText(result.entities)}`,
    `  Redis: used_memory grew by ${mebibytes(result.redisUsedMemoryBytes)}`,
    `  disk, bytes a transaction: ${diskText}`,
  ]
}

function takeoverLines({ options, steps, decisions }: TakeoverResult): readonly string[] {
  return [
    '',
    `Takeover at ${count(options.ratePerSecond)}/s, two scorers, ${count(decisions)} decisions: longest time between two ` +
      'batches of a partition',
    ...tableLines(
      steps.map(({ step, standstillMs, standstillMsMax }) => [
        step,
        `${count(standstillMsMax)} ms (by partition ${standstillMs.map(count).join(', ')})`,
      ]),
      INDENTED,
    ),
  ]
}

function stateText({ keys, bytesMean, bytesMax }: StateSize): string {
  return `${count(keys)} of ${count(bytesMean)} bytes in the mean, ${count(bytesMax)} at most`
}

function tracingLines({ options, cases }: TracingBenchResult): readonly string[] {
  const rows = cases.map((each) => {
    const change = (each.medianRatioToOff - 1) * 100
    const runs = each.microsecondsPerEvent.map((us) => us?.toFixed(1) ?? 'unknown').join(', ')
    return [
      each.name,
      `${each.medianMicrosecondsPerEvent.toFixed(1)} us/event, ` +
        `${change >= 0 ? '+' : ''}${change.toFixed(1)} % of its round's first (${runs})`,
    ]
  })
  return [
    '',
    `Tracing, processor time of the scorer in a replay of ${count(options.transactions)} transactions, ` +
      `medians of ${options.runs} rounds`,
    ...tableLines(rows, INDENTED),
  ]
}

function profileLines(profile: ProfileSummary): readonly string[] {
  const cells = ({ name, share, milliseconds: ms }: ProfileSummary['areas'][number]) => [
    `${(share * 100).toFixed(1)} %`,
    `${count(ms)} ms`,
    name,
  ]
  return [
    '',
    `Profile of the scorer in run 1: ${count(profile.totalMs)} ms, idle ${count(profile.idleMs)} ms; by area`,
    ...tableLines(
      [
        ...profile.areas.map(cells),
        ['Functions by time of their own'],
        ...profile.functions.map(cells),
      ],
      { align: 'rr', indent: '  ' },
    ),
  ]
}
