// Replay: speed at which scorers, one by default, answer a topic that is already full, exactly once, with all features
// enabled. The same run measures how fast a plain consumer decodes the same topic: the ratio of the two can be compared
// between machines, the events per second cannot.

import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kafka, KafkaMessage } from 'kafkajs'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import {
  startProducer,
  startScorer,
  openBenchStream,
  untilCommitted,
  type BenchServers,
  type BenchStream,
} from './bench-servers.ts'
import { BatchLedger, type LedgerSummary, openTopicReader } from './batch-ledger.ts'
import { loadAverage } from './machine.ts'
import { CpuMeter, cpuMsOf, residentBytesOf, type CpuPerEvent } from './process-meter.ts'
import { producerArguments } from './feature-load.ts'
import { median } from './statistics.ts'

export interface ReplayOptions {
  readonly transactions: number
  readonly cards: number
  readonly batchSizeMax: number
  readonly runs: number
  /** Processes that share the partitions; one when absent. */
  readonly scorers?: number
  /** File for a processor profile of the first run's scorer; null for none. */
  readonly profileFile: string | null
  /** Share of the transactions that begin a trace; none when absent. */
  readonly traceRatio?: number
  /** More variables of the scorer. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface BenchDeps {
  readonly servers: BenchServers
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

export interface ReplayRun {
  readonly fill: {
    readonly transactions: number
    readonly labels: number
    readonly eventsPerSecond: number
  }
  /** From the first to the last batch, by the time stamps of their records. */
  readonly eventsPerSecond: number
  /** From the start of the scorer's process to the last commit, including model loading and joining. */
  readonly eventsPerSecondWithStart: number
  /** From the start of the scorer's process until it had joined. */
  readonly startMs: number
  /** A plain consumer that decodes the same transactions and does nothing with them. */
  readonly consumeEventsPerSecond: number
  readonly ratioToConsume: number
  readonly batches: LedgerSummary
  readonly eventsPerBatch: number
  /** From the joined group to the last commit, scorers together; the producer's from its start to its end. */
  readonly cpuMicrosecondsPerEvent: CpuPerEvent
  readonly scorerStartCpuMs: number | null
  readonly scorerResidentBytes: number | null
  readonly loadAverage: readonly number[]
  /** Faults of the result, as sentences; empty when in = decisions + dead letters, in order. */
  readonly problems: readonly string[]
}

export interface ReplayResult {
  readonly options: ReplayOptions
  readonly medianEventsPerSecond: number
  readonly medianRatioToConsume: number
  readonly runs: readonly ReplayRun[]
}

/** Runs the benchmark; each run has a stream of its own, deleted at the end. */
export async function runReplayBench(
  options: ReplayOptions,
  deps: BenchDeps,
): Promise<ReplayResult> {
  const runs: ReplayRun[] = []
  for (let run = 0; run < options.runs; run += 1) {
    deps.onProgress(`replay, run ${run + 1} of ${options.runs}`)
    const profileFile = run === 0 ? options.profileFile : null
    runs.push(await runReplayOnce({ ...options, profileFile }, deps))
  }
  return {
    options,
    medianEventsPerSecond: median(runs.map(({ eventsPerSecond }) => eventsPerSecond)),
    medianRatioToConsume: median(runs.map(({ ratioToConsume }) => ratioToConsume)),
    runs,
  }
}

/** One run, on a stream of its own that is deleted at the end. */
export async function runReplayOnce(options: ReplayOptions, deps: BenchDeps): Promise<ReplayRun> {
  const { servers } = deps
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  try {
    const load = loadAverage()
    const fill = await fillStream(options, servers, stream, opened, deps.signal)
    const ends = await stream.ends()
    const consumeEventsPerSecond = await measureConsume(servers, stream, ends, deps.signal)
    const scored = await score(options, servers, { stream, ends }, opened, deps.signal)
    const batches = await readBatches(servers, stream, ends, deps.signal)
    const { firstBatchMs, lastBatchMs, offsetsInFirstMs } = batches
    const betweenMs = (lastBatchMs ?? NaN) - (firstBatchMs ?? NaN)
    // Counts answers, not sent events: a lost event must not improve the figure.
    const answered = batches.decisions + batches.deadLetters
    const eventsPerSecond = ((answered - offsetsInFirstMs) * 1_000) / betweenMs
    return {
      fill: fill.fill,
      eventsPerSecond,
      eventsPerSecondWithStart: (answered * 1_000) / scored.totalMs,
      startMs: scored.startMs,
      consumeEventsPerSecond,
      ratioToConsume: eventsPerSecond / consumeEventsPerSecond,
      batches,
      eventsPerBatch: batches.decisions / batches.batchCount,
      cpuMicrosecondsPerEvent: { ...scored.cpu, producer: fill.cpu['producer'] ?? null },
      scorerStartCpuMs: scored.startCpuMs,
      scorerResidentBytes: scored.residentBytes,
      loadAverage: load,
      problems: [...batches.problems, ...countProblems(fill.fill.transactions, batches)],
    }
  } finally {
    await closeAll(opened)
  }
}

/** Compares the input with the answers in the batches. */
export function countProblems(transactions: number, batches: LedgerSummary): readonly string[] {
  const problems: string[] = []
  const { decisions, deadLetters, scored } = batches
  if (decisions + deadLetters !== transactions) {
    problems.push(`${transactions} in, but ${decisions} decisions and ${deadLetters} dead letters.`)
  }
  if (deadLetters > 0)
    problems.push(`${deadLetters} dead letters, and the load has no bad message.`)
  if (scored !== decisions) problems.push(`${decisions - scored} decisions have no score.`)
  return problems
}

/** Fills the topics with the load at full speed. */
export async function fillStream(
  options: ReplayOptions,
  servers: BenchServers,
  stream: BenchStream,
  opened: Closable[],
  signal: AbortSignal,
): Promise<{ readonly fill: ReplayRun['fill']; readonly cpu: CpuPerEvent }> {
  const producer = startProducer(servers, stream, ['--flat-out', ...producerArguments(options)])
  opened.push(killed(producer))
  const meter = new CpuMeter({ producer: producer.pid })
  // The last sample before the process ends is at most this old.
  const timer = setInterval(() => {
    meter.sample()
  }, 50)
  try {
    const { transactions, labels, elapsedMs } = await abortable(producer.done, signal)
    const eventsPerSecond = ((transactions + labels) * 1_000) / elapsedMs
    return { fill: { transactions, labels, eventsPerSecond }, cpu: meter.perEvent(transactions) }
  } finally {
    clearInterval(timer)
  }
}

/** Runs scorers until everything below `ends` is committed. */
export async function score(
  options: ReplayOptions,
  servers: BenchServers,
  { stream, ends }: { readonly stream: BenchStream; readonly ends: readonly number[] },
  opened: Closable[],
  signal: AbortSignal,
) {
  const startedMs = performance.now()
  const { batchSizeMax, profileFile, environment = {}, scorers: count = 1 } = options
  const profileFolder = profileFile === null ? null : mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const scorers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const profile = index === 0 ? profileFolder : null
      const started = { batchSizeMax, profileFolder: profile, environment }
      const scorer = await startScorer(servers, stream, started)
      opened.push({ close: () => scorer.stop() })
      return scorer
    }),
  )
  const readyMs = performance.now()
  const startCpuMs = sumOf(scorers.map(({ pid }) => cpuMsOf(pid)))
  const names = scorers.map(({ pid }, index) => [`scorer ${index}`, pid] as const)
  const ofScorers: Record<string, number> = Object.fromEntries(names)
  const meter = new CpuMeter({ ...ofScorers, ...servers.processes })
  const failed = scorers.map((scorer) => scorer.failed)
  await Promise.race([untilCommitted(stream, ends, signal), ...failed])
  const totalMs = performance.now() - startedMs
  meter.sample()
  const residentBytes = sumOf(scorers.map(({ pid }) => residentBytesOf(pid)))
  await Promise.all(scorers.map((scorer) => scorer.stop()))
  if (profileFile !== null && profileFolder !== null) keepProfile(profileFolder, profileFile)
  const byProcess = meter.perEvent(options.transactions)
  const scorer = sumOf(names.map(([name]) => byProcess[name] ?? null))
  const cpu: Record<string, number | null> = { scorer }
  for (const name of Object.keys(servers.processes)) cpu[name] = byProcess[name] ?? null
  return { startMs: readyMs - startedMs, totalMs, startCpuMs, residentBytes, cpu }
}

/** Null if one of them is unknown. */
function sumOf(values: readonly (number | null)[]): number | null {
  let sum = 0
  for (const value of values) {
    if (value === null) return null
    sum += value
  }
  return sum
}

/** Each thread writes a profile of its own when it ends; only that of the main thread, number 0, is kept. */
function keepProfile(folder: string, file: string): void {
  const name = readdirSync(folder).find((each) => /^CPU\.\d+\.\d+\.\d+\.0\.\d+\./.test(each))
  if (name !== undefined) copyFileSync(join(folder, name), file)
  rmSync(folder, { recursive: true })
}

/** Events per second of a consumer that only decodes, from its first to its last batch. */
async function measureConsume(
  { kafka, codecs }: BenchServers,
  stream: BenchStream,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<number> {
  const total = ends.reduce((sum, end) => sum + end, 0)
  let seen = 0
  let beganMs = NaN
  let perSecond = NaN
  const take = (_: number, messages: readonly KafkaMessage[]): boolean => {
    if (seen === 0) beganMs = performance.now()
    for (const { value } of messages) decode(codecs, value)
    seen += messages.length
    perSecond = (seen * 1_000) / (performance.now() - beganMs)
    return seen >= total
  }
  await readTopicUntil(kafka, stream.topic('transactions'), take, signal)
  return perSecond
}

function decode(codecs: Codecs, value: Buffer | null): void {
  if (codecs.decodeTransactionMessage(value).kind === 'reject') {
    throw new Error('The load has a message that cannot be decoded.')
  }
}

/** Reads the committed batches until they answer every offset below `ends`. */
export async function readBatches(
  { kafka, codecs }: BenchServers,
  stream: BenchStream,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<LedgerSummary> {
  const ledger = new BatchLedger(codecs)
  const take = (partition: number, messages: readonly KafkaMessage[]): boolean => {
    for (const { value, timestamp } of messages) ledger.add(partition, value, Number(timestamp))
    return ends.every((end, index) => ledger.nextOffset(index) >= end)
  }
  await readTopicUntil(kafka, stream.topic('decisions'), take, signal)
  return ledger.summary()
}

/** Reads a topic from its beginning until `take`, which receives the committed messages, returns that it has enough. */
export async function readTopicUntil(
  kafka: Kafka,
  topic: string,
  take: (partition: number, messages: readonly KafkaMessage[]) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const { promise: isEnough, resolve } = Promise.withResolvers<true>()
  const reader = await openTopicReader(kafka, topic, (partition, messages) => {
    if (take(partition, messages)) resolve(true)
  })
  try {
    await abortable(Promise.race([isEnough, reader.failed]), signal)
  } finally {
    await reader.close()
  }
}

/** The promise, or a rejection with the signal's reason, whichever is first. */
export async function abortable<Value>(
  promise: Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  signal.throwIfAborted()
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason instanceof Error ? signal.reason : new Error('Stopped.'))
    }
    signal.addEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Stops a producer that is still running. */
export function killed(producer: { kill(): void; readonly done: Promise<unknown> }): Closable {
  return {
    close: async () => {
      producer.kill()
      await producer.done.catch(() => undefined)
    },
  }
}
