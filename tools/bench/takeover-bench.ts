// Takeover: pause of a partition when its scorer is stopped, joined by others, or killed, under load. Two scorers share
// the partitions. Each step ends one of them or starts one. The longest time between two decision batches of one
// partition is how long a cardholder would have waited.

import { setTimeout as sleepMs } from 'node:timers/promises'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import {
  startProducer,
  startScorer,
  type RunningChild,
  openBenchStream,
  PARTITION_COUNT,
  untilCommitted,
  type BenchServers,
  type BenchStream,
} from './bench-servers.ts'
import { loadAverage } from './machine.ts'
import { abortable, countProblems, killed, readBatches, type BenchDeps } from './replay-bench.ts'
import { producerArguments } from './feature-load.ts'
import { openTopicReader } from './batch-ledger.ts'

/** Pause between steps, so that the effects of two steps do not mix. Longer than a session timeout. */
const STEP_PAUSE_MS = 15_000
const BATCH_SIZE_MAX = 512

export type TakeoverStep = 'undisturbed' | 'stop' | 'start' | 'kill'
const STEPS = ['undisturbed', 'stop', 'start', 'kill'] as const

export interface TakeoverOptions {
  readonly ratePerSecond: number
  readonly cards: number
}

export interface StepResult {
  readonly step: TakeoverStep
  /** Longest time between two batches of one partition, by the time stamps of their records. */
  readonly standstillMsMax: number
  /** The same for each partition. */
  readonly standstillMs: readonly number[]
}

export interface TakeoverResult {
  readonly options: TakeoverOptions
  readonly steps: readonly StepResult[]
  readonly decisions: number
  readonly loadAverage: readonly number[]
  readonly problems: readonly string[]
}

/** Runs the steps on a stream of its own, deleted at the end. */
export async function runTakeoverBench(
  options: TakeoverOptions,
  deps: BenchDeps,
): Promise<TakeoverResult> {
  const { servers, signal, onProgress } = deps
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  try {
    const load = loadAverage()
    const batches = await watchBatches(servers, stream)
    opened.push(batches)
    const scorers = [await start(servers, stream, opened), await start(servers, stream, opened)]
    const transactions = (options.ratePerSecond * STEP_PAUSE_MS * (STEPS.length + 1)) / 1_000
    const producer = startProducer(servers, stream, [
      ...['--rate', String(options.ratePerSecond)],
      ...producerArguments({ transactions, cards: options.cards }),
    ])
    opened.push(killed(producer))
    await sleepMs(STEP_PAUSE_MS / 2, undefined, { signal })
    const steps: StepResult[] = []
    for (const step of STEPS) {
      onProgress(`takeover: ${step}`)
      const fromMs = Date.now()
      if (step === 'stop') await scorers.shift()?.stop()
      if (step === 'start') scorers.push(await start(servers, stream, opened))
      if (step === 'kill') await scorers.shift()?.kill()
      await sleepMs(Math.max(0, fromMs + STEP_PAUSE_MS - Date.now()), undefined, { signal })
      steps.push(stepResult(step, batches.times, fromMs, Date.now()))
    }
    const { transactions: sent } = await abortable(producer.done, signal)
    const ends = await stream.ends()
    await untilCommitted(stream, ends, signal)
    const ledger = await readBatches(servers, stream, ends, signal)
    const problems = [...ledger.problems, ...countProblems(sent, ledger)]
    return { options, steps, decisions: ledger.decisions, loadAverage: load, problems }
  } finally {
    await closeAll(opened)
  }
}

async function start(
  servers: BenchServers,
  stream: BenchStream,
  opened: Closable[],
): Promise<RunningChild> {
  const scorer = await startScorer(servers, stream, {
    batchSizeMax: BATCH_SIZE_MAX,
    profileFolder: null,
  })
  opened.push({ close: () => scorer.stop() })
  return scorer
}

/** Time stamps of the batches of each partition, in order of arrival. */
async function watchBatches(
  { kafka }: BenchServers,
  stream: BenchStream,
): Promise<{ readonly times: readonly (readonly number[])[] } & Closable> {
  const times = Array.from({ length: PARTITION_COUNT }, (): number[] => [])
  const reader = await openTopicReader(kafka, stream.topic('decisions'), (partition, messages) => {
    times[partition]?.push(...messages.map(({ timestamp }) => Number(timestamp)))
  })
  return { times, close: () => reader.close() }
}

/** The longest time without a batch of each partition within the step; its ends count as batches. */
export function stepResult(
  step: TakeoverStep,
  times: readonly (readonly number[])[],
  fromMs: number,
  untilMs: number,
): StepResult {
  const standstillMs = times.map((all) => {
    const within = all.filter((timeMs) => timeMs >= fromMs && timeMs <= untilMs)
    const points = [fromMs, ...within, untilMs]
    return points.reduce((longest, timeMs, index) => {
      const previous = points[index - 1] ?? fromMs
      return Math.max(longest, timeMs - previous)
    }, 0)
  })
  return { step, standstillMs, standstillMsMax: Math.max(...standstillMs) }
}
