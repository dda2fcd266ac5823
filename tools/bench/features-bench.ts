// Cost of features and their state, without Kafka and without a model. In memory: fold and codec alone. In the store:
// the same with a real Redis. Growth: with a long history of one card, and with one card that makes a large share of
// all payments.

import assert from 'node:assert/strict'
import { tableLines } from '../../services/cli/table.ts'
import { CARD_REACH_MS } from '../../services/core/features/catalogue/time.ts'
import {
  compileFeaturePlan,
  type FeaturePlan,
} from '../../services/core/features/engine/feature-plan.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import type { BenchServers } from './bench-servers.ts'
import {
  batchesOf,
  FEATURE_SETS,
  type FeatureSet,
  type LoadItem,
  oneCardItems,
  simulatedItems,
  withHotCard,
} from './feature-load.ts'
import { type Decoding, DECODINGS, foldInMemory, type FoldOutcome } from './feature-memory.ts'
import { foldInStore, type StoreOutcome } from './feature-store.ts'
import { count, cpuText, median } from './statistics.ts'
import { loadAverage } from './machine.ts'
import type { CpuPerEvent } from './process-meter.ts'

const BATCH_SIZES = [512, 2_048] as const
const PARTITION_COUNTS = [1, 4] as const
const HELD = [1, 10, 100, 512, 1_000, 10_000] as const
const HOT_SHARE = 0.3
const HOT_BATCH = 512

export interface FeaturesOptions {
  readonly transactions: number
  readonly cards: number
  readonly runs: number
  /** Maximum bytes of decoded state that the store keeps. */
  readonly cacheBytesMax: number
  /** Transactions measured per length of a history, and the longest history. */
  readonly growthEvents: number
  readonly heldMax: number
}

/** Medians of the runs. */
interface Rate {
  readonly features: FeatureSet['name']
  readonly eventsPerSecond: number
  readonly checksum: string
}

export interface MemoryResult extends Rate {
  readonly decoding: Decoding
  readonly batchSize: number
  readonly cpuMicrosecondsPerEvent: number
  readonly heldMedian: number
  readonly heldMax: number
  readonly bytesMedian: number
}

export interface StoreResult extends Rate {
  readonly partitions: number
  readonly batchSize: number
  readonly cpuMicrosecondsPerEvent: CpuPerEvent
  readonly readsPerBatchMax: number
  readonly writesPerBatchMax: number
}

/** One card that has paid `held` times in the reach, with one batch per transaction. */
export interface GrowthResult extends MemoryResult {
  readonly held: number
}

export interface HotCardResult extends MemoryResult {
  /** Share of one card in all traffic. */
  readonly share: number
}

export interface FeaturesResult {
  readonly options: FeaturesOptions
  readonly memory: readonly MemoryResult[]
  /** Null without servers. */
  readonly store: readonly StoreResult[] | null
  readonly growth: readonly GrowthResult[]
  readonly hotCard: readonly HotCardResult[]
  readonly loadAverage: readonly number[]
  readonly problems: readonly string[]
}

export interface FeaturesDeps {
  readonly codecs: Codecs
  /** Null omits the store. */
  readonly servers: BenchServers | null
  readonly signal: AbortSignal
  readonly onProgress: (line: string) => void
}

/** Runs the benchmark. */
export async function runFeaturesBench(
  options: FeaturesOptions,
  deps: FeaturesDeps,
): Promise<FeaturesResult> {
  const { codecs, servers, signal, onProgress } = deps
  const items = simulatedItems(options.transactions, options.cards, codecs)
  onProgress('features: in memory')
  const memory = measureMemory(items, options, codecs, signal)
  onProgress('features: histories of one card')
  const growth = measureGrowth(options, codecs, signal)
  onProgress('features: one card with much of the traffic')
  const hotCard = measureHotCard(items, options, codecs, signal)
  const store =
    servers === null ? null : await measureStore(items, options, servers, signal, onProgress)
  const result = { options, memory, store, growth, hotCard, loadAverage: loadAverage() }
  return { ...result, problems: problemsOf(result) }
}

function measureMemory(
  items: readonly LoadItem[],
  options: FeaturesOptions,
  codecs: Codecs,
  signal: AbortSignal,
): readonly MemoryResult[] {
  return everyCase(BATCH_SIZES, ({ set, plan, decoding, of: batchSize }) => {
    const batches = batchesOf(items, 1, batchSize)[0] ?? []
    const measureFrom = Math.floor(batches.length / 2)
    return resultOf({ set, decoding, batchSize }, options.runs, signal, () =>
      foldInMemory({ plan, decoding, codecs, batches, measureFrom }),
    )
  })
}

function measureGrowth(
  options: FeaturesOptions,
  codecs: Codecs,
  signal: AbortSignal,
): readonly GrowthResult[] {
  const lengths = HELD.filter((held) => held <= options.heldMax)
  return lengths.flatMap((held) => {
    const items = oneCardItems(held, options.growthEvents, CARD_REACH_MS, codecs)
    const batches = batchesOf(items, 1, 1)[0] ?? []
    return everyCase([held], ({ set, plan, decoding }) => {
      const result = resultOf({ set, decoding, batchSize: 1 }, options.runs, signal, () =>
        foldInMemory({ plan, decoding, codecs, batches, measureFrom: held }),
      )
      return { ...result, held }
    })
  })
}

function measureHotCard(
  items: readonly LoadItem[],
  options: FeaturesOptions,
  codecs: Codecs,
  signal: AbortSignal,
): readonly HotCardResult[] {
  return [0, HOT_SHARE].flatMap((share) => {
    const batches = batchesOf(withHotCard(items, share, codecs), 1, HOT_BATCH)[0] ?? []
    const measureFrom = Math.floor(batches.length / 2)
    return everyCase([share], ({ set, plan, decoding }) => ({
      ...resultOf({ set, decoding, batchSize: HOT_BATCH }, options.runs, signal, () =>
        foldInMemory({ plan, decoding, codecs, batches, measureFrom }),
      ),
      share,
    }))
  })
}

async function measureStore(
  items: readonly LoadItem[],
  { cacheBytesMax, runs }: FeaturesOptions,
  servers: BenchServers,
  signal: AbortSignal,
  onProgress: (line: string) => void,
): Promise<readonly StoreResult[]> {
  const results: StoreResult[] = []
  for (const set of FEATURE_SETS) {
    const plan = compileFeaturePlan(set.definitions)
    for (const partitionCount of PARTITION_COUNTS) {
      for (const batchSize of BATCH_SIZES) {
        onProgress(
          `features: in Redis, ${set.name}, partitions ${partitionCount}, batches of ${batchSize}`,
        )
        const partitions = batchesOf(items, partitionCount, batchSize)
        const rounds = Math.max(...partitions.map(({ length }) => length))
        const measureFrom = Math.floor(rounds / 2)
        const outcomes: StoreOutcome[] = []
        for (let run = 0; run < runs; run += 1) {
          const { codecs } = servers
          const options = { plan, cacheBytesMax, codecs, partitions, measureFrom }
          outcomes.push(await foldInStore(options, servers, signal))
        }
        results.push(storeResultOf(set, partitionCount, batchSize, outcomes))
      }
    }
  }
  return results
}

function everyCase<Of, Result>(
  each: readonly Of[],
  measure: (of: {
    readonly set: FeatureSet
    readonly plan: FeaturePlan
    readonly decoding: Decoding
    readonly of: Of
  }) => Result,
): readonly Result[] {
  return FEATURE_SETS.flatMap((set) => {
    const plan = compileFeaturePlan(set.definitions)
    return DECODINGS.flatMap((decoding) => each.map((of) => measure({ set, plan, decoding, of })))
  })
}

interface MemoryCase {
  readonly set: FeatureSet
  readonly decoding: Decoding
  readonly batchSize: number
}

function resultOf(
  { set, decoding, batchSize }: MemoryCase,
  runs: number,
  signal: AbortSignal,
  work: () => FoldOutcome,
): MemoryResult {
  const outcomes = Array.from({ length: runs }, () => {
    signal.throwIfAborted()
    return work()
  })
  const [first] = outcomes
  assert(first !== undefined, 'There is at least one run.')
  return {
    features: set.name,
    decoding,
    batchSize,
    eventsPerSecond: median(outcomes.map(({ events, wallMs }) => (events * 1_000) / wallMs)),
    cpuMicrosecondsPerEvent: median(outcomes.map(({ events, cpuMs }) => (cpuMs * 1_000) / events)),
    checksum: [...new Set(outcomes.map(({ checksum }) => checksum))].join(' or '),
    heldMedian: first.heldMedian,
    heldMax: first.heldMax,
    bytesMedian: first.bytesMedian,
  }
}

function storeResultOf(
  { name: features }: FeatureSet,
  partitions: number,
  batchSize: number,
  outcomes: readonly StoreOutcome[],
): StoreResult {
  const cpuOf = (process: string): number | null => {
    const each = outcomes.map(({ cpuMicrosecondsPerEvent: cpu }) => cpu[process] ?? null)
    return each.includes(null) ? null : median(each.map(Number))
  }
  return {
    features,
    partitions,
    batchSize,
    eventsPerSecond: median(outcomes.map(({ events, wallMs }) => (events * 1_000) / wallMs)),
    cpuMicrosecondsPerEvent: { client: cpuOf('client'), redis: cpuOf('redis') },
    readsPerBatchMax: Math.max(...outcomes.map((each) => each.readsPerBatchMax)),
    writesPerBatchMax: Math.max(...outcomes.map((each) => each.writesPerBatchMax)),
    checksum: [...new Set(outcomes.map(({ checksums }) => checksums.join(' ')))].join(' or '),
  }
}

/** The rows of one stream are the same however they are split into batches, and wherever their state is stored. */
function problemsOf({
  memory,
  store,
  growth,
  hotCard,
}: Pick<FeaturesResult, 'memory' | 'store' | 'growth' | 'hotCard'>): readonly string[] {
  const alone = (store ?? []).filter(({ partitions }) => partitions === 1)
  const streams = new Map<string, Set<string>>()
  const note = (stream: string, checksum: string): void => {
    streams.set(stream, (streams.get(stream) ?? new Set()).add(checksum))
  }
  for (const each of [...memory, ...alone]) note(each.features, each.checksum)
  for (const each of growth) note(`${each.features}, ${each.held} of one card`, each.checksum)
  for (const each of hotCard) note(`${each.features}, share ${each.share}`, each.checksum)
  return [...streams]
    .filter(([, checksums]) => checksums.size > 1)
    .map(([stream, checksums]) => `rows differ (${stream}): ${[...checksums].join(', ')}.`)
}

// What `sluice bench features` prints for people.

const DECODING_TEXT = { each_batch: 'values decoded for each batch', kept: 'values kept decoded' }

export function featuresLines(result: FeaturesResult): readonly string[] {
  const { options, memory, store, growth, hotCard } = result
  const [first] = memory
  assert(first !== undefined, 'Some set of features was measured.')
  return [
    '',
    `Features and state codec without I/O, one thread, ${count(options.transactions)} transactions of ` +
      `${count(options.cards)} cards (second half measured), median of ${options.runs}`,
    `  a card holds ${count(first.heldMedian)} events in the median, ${count(first.heldMax)} at most`,
    ...tableLines(
      memory.map((each) => [
        each.features,
        DECODING_TEXT[each.decoding],
        `batches of ${count(each.batchSize)}`,
        ...rateCells(each),
        `card ${count(each.bytesMedian)} bytes`,
      ]),
      { align: 'lllr', indent: '  ' },
    ),
    ...(store === null ? [] : storeLines(store)),
    '',
    'As the history of one card grows: CPU us per event by payments in the last 30 days, a batch for each event',
    ...lengthLines(growth),
    '',
    'One card with a share of all traffic, batches of 512',
    ...tableLines(
      hotCard.map((each) => [
        each.features,
        DECODING_TEXT[each.decoding],
        `${(each.share * 100).toFixed(0)} %`,
        ...rateCells(each),
      ]),
      { align: 'llrr', indent: '  ' },
    ),
    `  load ${result.loadAverage[0] ?? 'unknown'} at the end`,
  ]
}

function rateCells({
  eventsPerSecond,
  cpuMicrosecondsPerEvent,
}: Pick<MemoryResult, 'eventsPerSecond' | 'cpuMicrosecondsPerEvent'>): readonly string[] {
  return [
    `${count(eventsPerSecond)} events/s`,
    `CPU ${cpuMicrosecondsPerEvent.toFixed(2)} us/event`,
  ]
}

function storeLines(store: readonly StoreResult[]): readonly string[] {
  return [
    '',
    'With Redis and no Kafka; each partition waits for its reads and writes, partitions side by side',
    ...tableLines(
      store.map((each) => [
        each.features,
        `partitions ${each.partitions}`,
        `batches of ${count(each.batchSize)}`,
        `${count(each.eventsPerSecond)} events/s`,
        `CPU us/event: ${cpuText(each.cpuMicrosecondsPerEvent)}; round trips a batch, at most: ` +
          `${each.readsPerBatchMax} read, ${each.writesPerBatchMax} write`,
      ]),
      { align: 'lllr', indent: '  ' },
    ),
  ]
}

function lengthLines(growth: FeaturesResult['growth']): readonly string[] {
  const cases = new Map<string, string[]>()
  for (const { features, decoding, held, cpuMicrosecondsPerEvent } of growth) {
    const cells = cases.get(features + decoding) ?? [features, DECODING_TEXT[decoding]]
    cells.push(`${count(held)}: ${cpuMicrosecondsPerEvent.toFixed(1)}`)
    cases.set(features + decoding, cells)
  }
  return tableLines([...cases.values()], { indent: '  ' })
}
