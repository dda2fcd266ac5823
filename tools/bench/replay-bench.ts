// Replay: how fast one scorer answers a topic that is already full, exactly once, with features and model on. The same
// run measures how fast a plain consumer decodes the same topic: the ratio of the two can be compared between
// machines, the events per second cannot.

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
  /** From the start of the scorer's process to the last commit, model loading and joining included. */
  readonly eventsPerSecondWithStart: number
  /** From the start of the scorer's process until it had joined. */
  readonly startMs: number
  /** A plain consumer that decodes the same transactions and does nothing with them. */
  readonly consumeEventsPerSecond: number
  readonly ratioToConsume: number
  readonly batches: LedgerSummary
  readonly eventsPerBatch: number
  /** From the joined group to the last commit; the producer's from its start to its end. */
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
    // Answers count, not events sent: an event that is lost must not make the figure better.
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

/** Fills the topics with the load, as fast as it goes. */
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

/** Runs one scorer until everything below `ends` is committed. */
export async function score(
  options: ReplayOptions,
  servers: BenchServers,
  { stream, ends }: { readonly stream: BenchStream; readonly ends: readonly number[] },
  opened: Closable[],
  signal: AbortSignal,
) {
  const startedMs = performance.now()
  const { batchSizeMax, profileFile, environment = {} } = options
  const profileFolder = profileFile === null ? null : mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const scorer = await startScorer(servers, stream, { batchSizeMax, profileFolder, environment })
  opened.push({ close: () => scorer.stop() })
  const readyMs = performance.now()
  const startCpuMs = cpuMsOf(scorer.pid)
  const meter = new CpuMeter({ scorer: scorer.pid, ...servers.processes })
  await Promise.race([untilCommitted(stream, ends, signal), scorer.failed])
  const totalMs = performance.now() - startedMs
  meter.sample()
  const residentBytes = residentBytesOf(scorer.pid)
  await scorer.stop()
  if (profileFile !== null && profileFolder !== null) keepProfile(profileFolder, profileFile)
  const cpu = meter.perEvent(options.transactions)
  return { startMs: readyMs - startedMs, totalMs, startCpuMs, residentBytes, cpu }
}

/** Each thread writes a profile of its own when it ends; kept is that of the main thread, number 0. */
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
    throw new Error('The load holds a message that cannot be decoded.')
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

/** Reads a topic from its beginning until `take`, which gets the committed messages, says that it was enough. */
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

/** Ends a producer that still runs. */
export function killed(producer: { kill(): void; readonly done: Promise<unknown> }): Closable {
  return {
    close: async () => {
      producer.kill()
      await producer.done.catch(() => undefined)
    },
  }
}
