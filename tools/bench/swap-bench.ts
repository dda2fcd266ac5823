// Swap: the delay that a cardholder would notice during a change of the model. An open loop at a fixed rate; every few
// seconds another model is activated. Latency is from the intended send time of each transaction until a read_committed
// consumer has its decision, so every transaction counts, alerted or not.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { repositoryRoot } from '../../services/cli/command.ts'
import { tableLines } from '../../services/cli/table.ts'
import { activated, controlOf, NO_DEPLOYMENT } from '../../services/core/control/deployment.ts'
import { publishControl } from '../../services/platform/kafka/control-topic.ts'
import { type Closable, closeAll } from '../../services/platform/lifecycle.ts'
import { addModel } from '../../services/platform/model-store.ts'
import {
  startProducer,
  startScorer,
  type BenchServers,
  type BenchStream,
  openBenchStream,
  PARTITION_COUNT,
  untilCommitted,
} from './bench-servers.ts'
import { count, milliseconds, type LatencySummary, summarizeLatencies } from './statistics.ts'
import { loadAverage } from './machine.ts'
import { abortable, type BenchDeps, countProblems, killed, readBatches } from './replay-bench.ts'
import { producerArguments } from './feature-load.ts'
import { openTopicReader } from './batch-ledger.ts'

const SWAPS = 6
/** Time between two swaps; its second half counts as time after a swap. */
const INTERVAL_MS = 5_000
/** Shortest time that counts as a swap: a switch of 100 ms also delays the queue behind it. */
const DURING_MS_MIN = 1_000
const WARM_UP_MS = 10_000
const BEFORE_MS = 15_000
const AFTER_MS = 5_000
const POLL_MS = 10
const SWITCH_MS_MAX = 30_000
const BATCH_SIZE_MAX = 512
/** The limit: p99 during a swap over p99 before. */
const RATIO_MAX = 1.5

export interface SwapOptions {
  readonly ratePerSecond: number
  readonly cards: number
}

export interface SwapResult {
  readonly options: SwapOptions
  readonly swaps: number
  /** From publishing the control message until every partition had decided with the new model. */
  readonly switchMs: readonly number[]
  readonly before: LatencySummary | null
  /** Transactions due during a swap, at least those of one second. */
  readonly during: LatencySummary | null
  /** Transactions between two swaps, and after the last. */
  readonly after: LatencySummary | null
  readonly ratio: number | null
  readonly decisions: number
  readonly loadAverage: readonly number[]
  readonly problems: readonly string[]
}

/** Runs the benchmark on a stream of its own, deleted at the end. */
export async function runSwapBench(options: SwapOptions, deps: BenchDeps): Promise<SwapResult> {
  const { servers, signal, onProgress } = deps
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  try {
    const load = loadAverage()
    const models = await twoModels(opened)
    const watch = await watchDecisions(servers, stream, opened)
    const scorer = await startScorer(servers, stream, {
      batchSizeMax: BATCH_SIZE_MAX,
      profileFolder: null,
      environment: { SLUICE_MODEL_STORE: models.store },
    })
    opened.push({ close: () => scorer.stop() })
    const spanMs = WARM_UP_MS + BEFORE_MS + SWAPS * INTERVAL_MS + AFTER_MS
    const transactions = Math.round((options.ratePerSecond * spanMs) / 1_000)
    onProgress(`swap, ${transactions} transactions at ${options.ratePerSecond}/s`)
    const producer = startProducer(servers, stream, [
      ...['--rate', String(options.ratePerSecond)],
      ...producerArguments({ transactions, cards: options.cards }),
    ])
    opened.push(killed(producer))
    await abortable(Promise.race([watch.begun(), producer.done]), signal)
    await sleepMs(WARM_UP_MS, undefined, { signal })
    const fromMs = Date.now()
    await sleepMs(BEFORE_MS, undefined, { signal })
    const swaps = await swapModels(servers, stream, models, watch, deps)
    const { transactions: sent } = await abortable(producer.done, signal)
    const ends = await stream.ends()
    await Promise.race([untilCommitted(stream, ends, signal), scorer.failed])
    const ledger = await readBatches(servers, stream, ends, signal)
    await watch.until(ledger.decisions)
    const phases = phasesOf(watch.seen, fromMs, swaps)
    const ratio = ratioOf(phases)
    return {
      options,
      swaps: swaps.length,
      switchMs: swaps.map(({ saidMs, doneMs }) => Math.round(doneMs - saidMs)),
      ...phases,
      ratio,
      decisions: ledger.decisions,
      loadAverage: load,
      problems: [...ledger.problems, ...countProblems(sent, ledger), ...ratioProblems(ratio)],
    }
  } finally {
    await closeAll(opened)
  }
}

/** Times by the wall clock, ms. */
export interface Swap {
  readonly saidMs: number
  readonly doneMs: number
}

/** A decision with its intended send time and its arrival. */
export interface SeenDecision {
  readonly intendedMs: number
  readonly arrivedMs: number
}

/** Latencies before the first swap, during any, and between or after them. */
export function phasesOf(
  seen: readonly SeenDecision[],
  fromMs: number,
  swaps: readonly Swap[],
): Pick<SwapResult, 'before' | 'during' | 'after'> {
  const latencies = { before: [] as number[], during: [] as number[], after: [] as number[] }
  const firstMs = swaps[0]?.saidMs ?? Infinity
  for (const { intendedMs, arrivedMs } of seen) {
    if (intendedMs < fromMs) continue
    const isDuring = swaps.some(
      ({ saidMs, doneMs }) =>
        intendedMs >= saidMs && intendedMs < Math.max(doneMs, saidMs + DURING_MS_MIN),
    )
    const phase = isDuring ? 'during' : intendedMs < firstMs ? 'before' : 'after'
    latencies[phase].push(arrivedMs - intendedMs)
  }
  return {
    before: summarizeLatencies(latencies.before),
    during: summarizeLatencies(latencies.during),
    after: summarizeLatencies(latencies.after),
  }
}

function ratioOf({ before, during }: Pick<SwapResult, 'before' | 'during'>): number | null {
  return before === null || during === null ? null : during.p99Ms / before.p99Ms
}

function ratioProblems(ratio: number | null): readonly string[] {
  if (ratio === null) return ['no decision was seen before or during a swap.']
  return ratio <= RATIO_MAX
    ? []
    : [`p99 during a swap is ${ratio.toFixed(2)} x that before; the bar is ${RATIO_MAX} x.`]
}

interface TwoModels {
  readonly store: string
  readonly digests: readonly [string, string]
}

/** The released model, and a copy of it under another name, so that only the swap has an effect. */
async function twoModels(opened: Closable[]): Promise<TwoModels> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-swap-'))
  opened.push({
    close: () => {
      rmSync(folder, { recursive: true, force: true })
      return Promise.resolve()
    },
  })
  const released = join(repositoryRoot(), 'models/simulator')
  const copy = join(folder, 'copy')
  cpSync(released, copy, { recursive: true })
  const path = join(copy, 'manifest.json')
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace(/"version": ?"[^"]*"/, '"version": "copy-for-the-benchmark"'))
  const store = join(folder, 'store')
  const [one, two] = [await addModel(store, released), await addModel(store, copy)]
  return { store, digests: [two.digest, one.digest] }
}

async function swapModels(
  { brokers, codecs }: BenchServers,
  stream: BenchStream,
  { digests }: TwoModels,
  watch: DecisionWatch,
  { signal, onProgress }: BenchDeps,
): Promise<readonly Swap[]> {
  const swaps: Swap[] = []
  let deployment = NO_DEPLOYMENT
  for (let turn = 0; turn < SWAPS; turn += 1) {
    const digest = digests[turn % 2] ?? ''
    deployment = activated(deployment, digest)
    const saidMs = Date.now()
    const word = { author: 'bench', reason: 'a swap', atMs: saidMs }
    await publishControl(
      { brokers, codecs, topicPrefix: stream.prefix },
      controlOf(deployment, word),
    )
    const doneMs = await watch.allPartitionsOn(digest, signal)
    swaps.push({ saidMs, doneMs })
    onProgress(`swap ${turn + 1} of ${SWAPS}: ${Math.round(doneMs - saidMs)} ms`)
    await sleepMs(Math.max(0, saidMs + INTERVAL_MS - Date.now()), undefined, { signal })
  }
  return swaps
}

interface DecisionWatch {
  readonly seen: readonly SeenDecision[]
  /** Resolves when the first decision has come. */
  begun(): Promise<void>
  /** Resolves, with the time, when the newest batch of every partition is of this model. */
  allPartitionsOn(digest: string, signal: AbortSignal): Promise<number>
  /** Waits until this many decisions have come, for a while. */
  until(count: number): Promise<void>
}

/** Reads transactions for their intended send times, and decisions for their arrival times. */
async function watchDecisions(
  { kafka, codecs }: BenchServers,
  stream: BenchStream,
  opened: Closable[],
): Promise<DecisionWatch> {
  const intended = Array.from({ length: PARTITION_COUNT }, (): number[] => [])
  const arrivals: { partition: number; offset: number; arrivedMs: number }[] = []
  const newest = new Array<string>(PARTITION_COUNT).fill('')
  const transactions = await openTopicReader(
    kafka,
    stream.topic('transactions'),
    (partition, messages) => {
      for (const { offset, timestamp } of messages) {
        const times = intended[partition]
        if (times !== undefined) times[Number(offset)] = Number(timestamp)
      }
    },
  )
  opened.push(transactions)
  const decisions = await openTopicReader(
    kafka,
    stream.topic('decisions'),
    (partition, messages, arrivedMs) => {
      for (const { value } of messages) {
        const decoded = codecs.decisionBatch.decode(value)
        if (!decoded.ok) throw new Error(`A decision batch cannot be decoded: ${decoded.reason}.`)
        newest[partition] = decoded.value.modelDigest
        for (const { offset, revision } of decoded.value.decisions) {
          if (revision === 0) arrivals.push({ partition, offset, arrivedMs })
        }
      }
    },
  )
  opened.push(decisions)
  const failed = Promise.race([transactions.failed, decisions.failed])
  const poll = async (isDone: () => boolean, limitMs: number): Promise<void> => {
    const endMs = performance.now() + limitMs
    while (!isDone() && performance.now() < endMs) await Promise.race([sleepMs(POLL_MS), failed])
  }
  return {
    get seen() {
      return arrivals.flatMap(({ partition, offset, arrivedMs }) => {
        const intendedMs = intended[partition]?.[offset]
        return intendedMs === undefined ? [] : [{ intendedMs, arrivedMs }]
      })
    },
    begun: () => poll(() => arrivals.length > 0, SWITCH_MS_MAX),
    until: (count) => poll(() => arrivals.length >= count, SWITCH_MS_MAX),
    allPartitionsOn: async (digest, signal) => {
      await abortable(
        poll(() => newest.every((each) => each === digest), SWITCH_MS_MAX),
        signal,
      )
      if (!newest.every((each) => each === digest)) {
        throw new Error(`Not every partition decided with ${digest} within ${SWITCH_MS_MAX} ms.`)
      }
      return Date.now()
    },
  }
}

// The report of `sluice bench swap`, as lines.

export function swapLines(result: SwapResult): readonly string[] {
  const { options, swaps, switchMs, ratio } = result
  return [
    '',
    `Swap of the model, ${swaps} times at ${count(options.ratePerSecond)}/s, ${count(result.decisions)} decisions: ` +
      'intended send time to decision at a committed reader',
    ...tableLines(
      (['before', 'during', 'after'] as const).map((phase) => [phase, latencyText(result[phase])]),
      { indent: '  ' },
    ),
    `  p99 during / before ${ratio === null ? 'unknown' : ratio.toFixed(2)}; message to every partition on the new model ` +
      `${switchMs.map(count).join(', ')} ms; load ${result.loadAverage[0] ?? 'unknown'}`,
  ]
}

function latencyText(latency: LatencySummary | null): string {
  if (latency === null) return 'nothing'
  const { p50Ms, p90Ms, p99Ms, maxMs, samples } = latency
  return (
    `p50 ${milliseconds(p50Ms)}, p90 ${milliseconds(p90Ms)}, p99 ${milliseconds(p99Ms)}, ` +
    `max ${milliseconds(maxMs)} (${count(samples)})`
  )
}
