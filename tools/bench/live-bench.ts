// Live: an open loop at a fixed rate. Latency is from the intended send time of a transaction until a read_committed
// subscriber in this process has its alert, or its decision, so a slow producer or broker cannot hide a delay.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Alert } from '../../services/core/wire/records.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import {
  startProducer,
  startScorer,
  type ProducerSummary,
  openBenchStream,
  untilCommitted,
  type BenchServers,
  type BenchStream,
} from './bench-servers.ts'
import { loadAverage } from './machine.ts'
import { CpuMeter, residentBytesOf, type CpuPerEvent } from './process-meter.ts'
import { abortable, countProblems, killed, type BenchDeps } from './replay-bench.ts'
import { producerArguments } from './feature-load.ts'
import { median, slope, summarizeLatencies, type LatencySummary } from './statistics.ts'
import { openTopicReader } from './batch-ledger.ts'
import { watchDecisions } from './decision-watch.ts'

const SAMPLE_MS = 1_000
const MEMORY_EDGE_SAMPLES = 20
const FIRST_MESSAGE_POLL_MS = 20
/** Time limit for the last alerts once everything is committed. */
const ALERTS_MS_MAX = 10_000
const MEBIBYTE = 1024 * 1024

export interface LiveOptions {
  readonly ratePerSecond: number
  /** Measured time, after the warm-up. */
  readonly durationMs: number
  readonly warmUpMs: number
  readonly cards: number
  readonly batchSizeMax: number
}

export interface MemorySummary {
  readonly samples: number
  readonly firstMedianBytes: number
  readonly lastMedianBytes: number
  readonly maxBytes: number
  /** Least squares over all samples. */
  readonly slopeMebibytesPerMinute: number | null
}

export interface LiveResult {
  readonly options: LiveOptions
  readonly transactions: number
  readonly decisions: number
  readonly alerts: number
  /** From the intended send time to the arrival of the alert at a read_committed consumer, without the warm-up. */
  readonly alertLatency: LatencySummary | null
  /** The same for the decision, of all transactions. */
  readonly decisionLatency: LatencySummary | null
  /** Delay of the producer at its end: above a few milliseconds the machine could not sustain the rate. */
  readonly producerBehindMs: number
  readonly eventsPerBatch: number
  readonly scorerMemory: MemorySummary | null
  /** Over the measured time; `bench` is this process, which subscribes to alerts and decisions. */
  readonly cpuMicrosecondsPerEvent: CpuPerEvent
  readonly loadAverage: readonly number[]
  /** Faults of the result, as sentences; empty when every event got its decision and its alert. */
  readonly problems: readonly string[]
}

interface SeenAlert {
  readonly id: string
  readonly intendedMs: number
  readonly latencyMs: number
}

/** Runs the benchmark on a stream of its own, deleted at the end. */
export async function runLiveBench(options: LiveOptions, deps: BenchDeps): Promise<LiveResult> {
  const { servers, signal, onProgress } = deps
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  try {
    const load = loadAverage()
    const alerts = await watchAlerts(servers, stream)
    opened.push(alerts)
    const decisions = await watchDecisions(servers, stream)
    opened.push(decisions)
    const scorer = await startScorer(servers, stream, {
      batchSizeMax: options.batchSizeMax,
      profileFolder: null,
    })
    opened.push({ close: () => scorer.stop() })
    const { ratePerSecond, warmUpMs, durationMs } = options
    const transactions = Math.round((ratePerSecond * (warmUpMs + durationMs)) / 1_000)
    onProgress(`live, ${transactions} transactions at ${ratePerSecond}/s`)
    const producer = startProducer(servers, stream, [
      ...['--rate', String(ratePerSecond)],
      ...producerArguments({ transactions, cards: options.cards }),
    ])
    opened.push(killed(producer))
    const watched = watchRun(options, servers, stream, scorer.pid, producer)
    const measured = await abortable(Promise.race([watched, scorer.failed]), signal)
    const ends = await stream.ends()
    await Promise.race([untilCommitted(stream, ends, signal), scorer.failed])
    const { batches, latenciesMs } = await decisions.finish(ends, measured.fromMs, signal)
    await alerts.until(batches.alertsDue)
    const inTime = alerts.seen.filter(({ intendedMs }) => intendedMs >= measured.fromMs)
    return {
      options,
      transactions: measured.summary.transactions,
      decisions: batches.decisions,
      alerts: alerts.seen.length,
      alertLatency: summarizeLatencies(inTime.map(({ latencyMs }) => latencyMs)),
      decisionLatency: summarizeLatencies(latenciesMs),
      producerBehindMs: measured.summary.behindMs,
      eventsPerBatch: batches.decisions / batches.batchCount,
      scorerMemory: summarizeMemory(measured.residentBytes),
      cpuMicrosecondsPerEvent: measured.cpu,
      loadAverage: load,
      problems: [
        ...batches.problems,
        ...countProblems(measured.summary.transactions, batches),
        ...alertProblems(alerts.seen, batches.alertsDue),
      ],
    }
  } finally {
    await closeAll(opened)
  }
}

/** Medians of the first and last samples, and the slope between; null without samples. */
export function summarizeMemory(bytesEachSecond: readonly number[]): MemorySummary | null {
  if (bytesEachSecond.length === 0) return null
  const points = bytesEachSecond.map((bytes, second) => [second / 60, bytes / MEBIBYTE] as const)
  return {
    samples: bytesEachSecond.length,
    firstMedianBytes: median(bytesEachSecond.slice(0, MEMORY_EDGE_SAMPLES)),
    lastMedianBytes: median(bytesEachSecond.slice(-MEMORY_EDGE_SAMPLES)),
    maxBytes: bytesEachSecond.reduce((a, b) => Math.max(a, b)),
    slopeMebibytesPerMinute: slope(points),
  }
}

function alertProblems(seen: readonly SeenAlert[], due: number): readonly string[] {
  const problems: string[] = []
  const distinct = new Set(seen.map(({ id }) => id)).size
  if (distinct !== seen.length) problems.push(`${seen.length - distinct} alerts came twice.`)
  if (distinct !== due) problems.push(`${due} alerts were due, ${distinct} came.`)
  return problems
}

interface AlertWatch extends Closable {
  readonly seen: readonly SeenAlert[]
  /** Waits for this many, up to a time limit. */
  until(count: number): Promise<void>
}

async function watchAlerts(
  { kafka, codecs }: BenchServers,
  stream: BenchStream,
): Promise<AlertWatch> {
  const seen: SeenAlert[] = []
  const reader = await openTopicReader(kafka, stream.topic('alerts'), (_, messages, arrivedMs) => {
    for (const { value } of messages) {
      const decoded = codecs.alert.decode(value)
      if (!decoded.ok) throw new Error(`An alert cannot be decoded: ${decoded.reason}.`)
      seen.push(seenAlert(decoded.value, arrivedMs))
    }
  })
  return {
    seen,
    until: async (count) => {
      const deadlineMs = performance.now() + ALERTS_MS_MAX
      while (seen.length < count && performance.now() < deadlineMs) {
        await Promise.race([sleepMs(FIRST_MESSAGE_POLL_MS), reader.failed])
      }
    },
    close: () => reader.close(),
  }
}

function seenAlert({ alertId, revision, source }: Alert, arrivedMs: number): SeenAlert {
  return {
    id: `${alertId} ${revision}`,
    intendedMs: source.timestampMs,
    latencyMs: arrivedMs - source.timestampMs,
  }
}

interface Measured {
  /** Wall-clock time at the end of the warm-up. */
  readonly fromMs: number
  readonly summary: ProducerSummary
  readonly cpu: CpuPerEvent
  readonly residentBytes: readonly number[]
}

/** Samples the processes each second from the end of the warm-up until the producer has ended. */
async function watchRun(
  options: LiveOptions,
  servers: BenchServers,
  stream: BenchStream,
  scorerPid: number,
  producer: { readonly pid: number; readonly done: Promise<ProducerSummary> },
): Promise<Measured> {
  const run = { isDone: false }
  const ended = producer.done.finally(() => {
    run.isDone = true
  })
  ended.catch(() => undefined)
  const total = (offsets: readonly number[]): number => offsets.reduce((sum, end) => sum + end, 0)
  while (!run.isDone && total(await stream.ends()) === 0) await sleepMs(FIRST_MESSAGE_POLL_MS)
  const fromMs = Date.now() + options.warmUpMs
  await Promise.race([sleepMs(options.warmUpMs), ended])
  const meter = new CpuMeter({
    scorer: scorerPid,
    ...servers.processes,
    producer: producer.pid,
    bench: process.pid,
  })
  const eventsBefore = total(await stream.committed())
  let events = 0
  const residentBytes: number[] = []
  for (;;) {
    await Promise.race([sleepMs(SAMPLE_MS), ended])
    // A last, shorter second would not be comparable, and its processor time would exclude the producer's.
    if (run.isDone) break
    meter.sample()
    events = total(await stream.committed()) - eventsBefore
    const bytes = residentBytesOf(scorerPid)
    if (bytes !== null) residentBytes.push(bytes)
  }
  return { fromMs, summary: await ended, cpu: meter.perEvent(events), residentBytes }
}
