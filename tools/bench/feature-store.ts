// Features with the scorer's store, without Kafka: partition sessions on a real Redis, one read and one write per
// batch. Each partition waits for its replies, and the partitions of the process run concurrently, as in a scorer. The
// benchmark deletes its keys afterwards.

import { randomUUID } from 'node:crypto'
import {
  ENTITY_KINDS,
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type { FeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import type { PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import type {
  PartitionSession,
  PartitionStore,
} from '../../services/platform/redis/partition-store-contract.ts'
import { openPartitionStore } from '../../services/platform/redis/partition-store.ts'
import type { BenchServers } from './bench-servers.ts'
import { endOf, PartitionRows, StopWatch } from './feature-memory.ts'
import { decodeBatch, type DecodedBatch, type LoadBatch } from './feature-load.ts'
import { CpuMeter, type CpuPerEvent } from './process-meter.ts'

const ANSWER_MS_MAX = 5_000

export interface StoreCase {
  readonly plan: FeaturePlan
  /** Maximum bytes of decoded state in memory. */
  readonly cacheBytesMax: number
  readonly codecs: Codecs
  readonly partitions: readonly (readonly LoadBatch[])[]
  /** Rounds of batches before this one are not measured; in them the partitions run one at a time. */
  readonly measureFrom: number
}

export interface StoreOutcome {
  readonly wallMs: number
  readonly events: number
  readonly cpuMicrosecondsPerEvent: CpuPerEvent
  readonly batches: number
  /** Most operations of a batch in the unmeasured rounds; 0 if all rounds are measured. */
  readonly readsPerBatchMax: number
  readonly writesPerBatchMax: number
  /** Checksum of each partition's rows. */
  readonly checksums: readonly string[]
}

interface PartitionProcessor {
  readonly session: PartitionSession
  readonly rows: PartitionRows
  readonly batches: readonly LoadBatch[]
}

/** One batch of a partition. */
interface Work extends Pick<PartitionProcessor, 'session' | 'rows'> {
  readonly batch: DecodedBatch
  readonly before: LoadBatch | undefined
}

interface RoundTrips {
  reads: number
  writes: number
}

/** Reads, folds and writes batch after batch. */
export async function foldInStore(
  options: StoreCase,
  { redis, redisUrl, processes }: BenchServers,
  signal: AbortSignal,
): Promise<StoreOutcome> {
  const streamId = `bench-${randomUUID().slice(0, 8)}`
  const opened: Closable[] = [{ close: () => deleteStreamState(redis, streamId) }]
  const trips: RoundTrips = { reads: 0, writes: 0 }
  try {
    const store = await openPartitionStore({
      url: redisUrl,
      streamId,
      partitionCount: options.partitions.length,
      answerMsMax: ANSWER_MS_MAX,
      cacheBytesMax: options.cacheBytesMax,
      onRoundTrip: (operation) => {
        if (operation === 'read') trips.reads += 1
        if (operation === 'write') trips.writes += 1
      },
      onConnection: () => undefined,
    })
    opened.push(store)
    const partitions: PartitionProcessor[] = []
    for (const [partition, batches] of options.partitions.entries()) {
      const session = await openSession(store, partition)
      partitions.push({ session, rows: new PartitionRows(options.plan), batches })
    }
    return await work(partitions, options, trips, { redis: processes['redis'] ?? null }, signal)
  } finally {
    await closeAll(opened)
  }
}

async function openSession(store: PartitionStore, partition: number): Promise<PartitionSession> {
  const epoch = await store.claim(partition, null)
  if (epoch === null)
    throw new Error(
      'Another process claims the partitions of the benchmark; run one benchmark at a time.',
    )
  const progress = { ...PARTITION_START, generation: epoch, nextOffset: 0, labelNextOffset: 0 }
  return store.open(partition, epoch, await store.readStatus(partition), progress, 'work')
}

async function work(
  partitions: readonly PartitionProcessor[],
  options: StoreCase,
  trips: RoundTrips,
  processes: { readonly redis: number | null },
  signal: AbortSignal,
): Promise<StoreOutcome> {
  const { plan, codecs, measureFrom } = options
  const rounds = Math.max(...partitions.map(({ batches }) => batches.length))
  const watch = new StopWatch()
  const most = await workInTurns(partitions, options, trips, signal)
  const meter = new CpuMeter(processes)
  let events = 0
  let batches = 0
  for (let round = measureFrom; round < rounds; round += 1) {
    signal.throwIfAborted()
    const open = partitions.flatMap((partition) => openRound(partition, round, codecs))
    watch.start()
    await Promise.all(open.map((work) => workBatch(work, plan)))
    watch.stop()
    for (const { batch } of open) events += batch.transactions.length
    batches += open.length
  }
  meter.sample()
  for (const { rows } of partitions) rows.take()
  const { wallMs, cpuMs } = watch.total
  return {
    wallMs,
    events,
    batches,
    cpuMicrosecondsPerEvent: { client: (cpuMs * 1_000) / events, ...meter.perEvent(events) },
    readsPerBatchMax: most.reads,
    writesPerBatchMax: most.writes,
    checksums: partitions.map(({ rows }) => rows.checksum),
  }
}

/** Runs the unmeasured rounds, one partition at a time, so that each batch's round trips can be counted. */
async function workInTurns(
  partitions: readonly PartitionProcessor[],
  { plan, codecs, measureFrom }: StoreCase,
  trips: RoundTrips,
  signal: AbortSignal,
): Promise<RoundTrips> {
  const most = { reads: 0, writes: 0 }
  for (let round = 0; round < measureFrom; round += 1) {
    signal.throwIfAborted()
    for (const work of partitions.flatMap((partition) => openRound(partition, round, codecs))) {
      trips.reads = 0
      trips.writes = 0
      await workBatch(work, plan)
      most.reads = Math.max(most.reads, trips.reads)
      most.writes = Math.max(most.writes, trips.writes)
    }
  }
  return most
}

/** The partition's batch of this round, if it has one. */
function openRound(
  { session, rows, batches }: PartitionProcessor,
  round: number,
  codecs: Codecs,
): readonly Work[] {
  rows.take()
  const batch = batches[round]
  if (batch === undefined) return []
  return [{ session, rows, batch: decodeBatch(batch, codecs), before: batches[round - 1] }]
}

async function workBatch({ session, rows, batch, before }: Work, plan: FeaturePlan): Promise<void> {
  const frontier = before === undefined ? { nextOffset: 0, labelNextOffset: 0 } : endOf(before)
  const committed = { ...frontier, newestEventMs: session.progress.newestEventMs }
  const cards = new Set(batch.transactions.map(({ card }) => card))
  const entities = new Set<number>()
  for (const kind of ENTITY_KINDS) {
    if (plan.entities[kind] === null) continue
    for (const transaction of batch.transactions) addEntity(kind, transaction, entities)
    for (const label of batch.labels) addEntity(kind, label, entities)
  }
  const reading = await session.read([...cards], [...entities], committed)
  if (reading.kind !== 'read') throw new Error(`The state of the benchmark is ${reading.kind}.`)
  session.beginFold(reading.snapshot)
  rows.add(batch, reading.snapshot)
  const { generation } = session.progress
  const progress: PartitionProgress = { generation, ...endOf(batch), ...rows.fold.position }
  session.endFold(reading.snapshot, progress)
  const reply = await session.write(reading.snapshot, progress, committed)
  if (reply !== 'written') throw new Error(`The state of the benchmark is ${reply}.`)
}

function addEntity(kind: EntityKind, of: Transaction | Label, entities: Set<number>): void {
  const identifier = kind === 'network' ? of.ipNetwork : of[kind]
  if (identifier !== null) entities.add(entityKeyOf(kind, hashOf(identifier)))
}
