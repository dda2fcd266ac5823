// Features over the store of the scorer, without Kafka: lane sessions on the real Redis, one read and one write per
// batch. Each lane waits for its answers, and the lanes of the process work side by side, as in a scorer. Keys of their
// own, deleted afterwards.

import { randomUUID } from 'node:crypto'
import {
  ENTITY_KINDS,
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type { FeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import { LANE_START } from '../../services/core/features/engine/lane-fold.ts'
import { referenceOf } from '../../services/core/reference.ts'
import type { LaneProgress } from '../../services/core/stream/lane-progress.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import type { LaneSession, LaneStore } from '../../services/platform/redis/lane-store-contract.ts'
import { openLaneStore } from '../../services/platform/redis/lane-store.ts'
import type { BenchServers } from './bench-servers.ts'
import { endOf, LaneRows, StopWatch } from './feature-fold.ts'
import { decodeBatch, type DecodedBatch, type LoadBatch } from './feature-load.ts'
import { CpuMeter, type CpuPerEvent } from './process-meter.ts'

const ANSWER_MS_MAX = 5_000

export interface StoreCase {
  readonly plan: FeaturePlan
  /** Events that may stay decoded in memory. */
  readonly cachedEventsMax: number
  readonly codecs: Codecs
  readonly lanes: readonly (readonly LoadBatch[])[]
  /** Rounds of batches before this one are not measured, and lanes take turns in them. */
  readonly measureFrom: number
}

export interface StoreOutcome {
  readonly wallMs: number
  readonly events: number
  readonly cpuMicrosecondsPerEvent: CpuPerEvent
  readonly batches: number
  /** Of the batches that are not measured; 0 where all are. */
  readonly readsPerBatchMax: number
  readonly writesPerBatchMax: number
  /** Checksum of each lane's rows. */
  readonly checksums: readonly string[]
}

interface Lane {
  readonly session: LaneSession
  readonly rows: LaneRows
  readonly batches: readonly LoadBatch[]
}

/** One batch of a lane. */
interface Work extends Pick<Lane, 'session' | 'rows'> {
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
    const store = await openLaneStore({
      url: redisUrl,
      streamId,
      partitionCount: options.lanes.length,
      answerMsMax: ANSWER_MS_MAX,
      cachedEventsMax: options.cachedEventsMax,
      onRoundTrip: (operation) => {
        if (operation === 'read') trips.reads += 1
        if (operation === 'write') trips.writes += 1
      },
      onConnection: () => undefined,
    })
    opened.push(store)
    const lanes: Lane[] = []
    for (const [partition, batches] of options.lanes.entries()) {
      const session = await openSession(store, partition)
      lanes.push({ session, rows: new LaneRows(options.plan), batches })
    }
    return await work(lanes, options, trips, { redis: processes['redis'] ?? null }, signal)
  } finally {
    await closeAll(opened)
  }
}

async function openSession(store: LaneStore, partition: number): Promise<LaneSession> {
  const epoch = await store.claim(partition, null)
  if (epoch === null) throw new Error('Somebody else claims the lanes of the benchmark.')
  const progress = { ...LANE_START, generation: epoch, nextOffset: 0, labelNextOffset: 0 }
  return store.open(partition, epoch, await store.readStanding(partition), progress, 'work')
}

async function work(
  lanes: readonly Lane[],
  options: StoreCase,
  trips: RoundTrips,
  processes: { readonly redis: number | null },
  signal: AbortSignal,
): Promise<StoreOutcome> {
  const { plan, codecs, measureFrom } = options
  const rounds = Math.max(...lanes.map(({ batches }) => batches.length))
  const watch = new StopWatch()
  const most = await workInTurns(lanes, options, trips, signal)
  const meter = new CpuMeter(processes)
  let events = 0
  let batches = 0
  for (let round = measureFrom; round < rounds; round += 1) {
    signal.throwIfAborted()
    const open = lanes.flatMap((lane) => openRound(lane, round, codecs))
    watch.start()
    await Promise.all(open.map((work) => workBatch(work, plan)))
    watch.stop()
    for (const { batch } of open) events += batch.transactions.length
    batches += open.length
  }
  meter.sample()
  for (const { rows } of lanes) rows.take()
  const { wallMs, cpuMs } = watch.total
  return {
    ...{ wallMs, events, batches },
    cpuMicrosecondsPerEvent: { client: (cpuMs * 1_000) / events, ...meter.perEvent(events) },
    readsPerBatchMax: most.reads,
    writesPerBatchMax: most.writes,
    checksums: lanes.map(({ rows }) => rows.checksum),
  }
}

/** The rounds that are not measured, one lane after the other: so that each batch's round trips can be counted. */
async function workInTurns(
  lanes: readonly Lane[],
  { plan, codecs, measureFrom }: StoreCase,
  trips: RoundTrips,
  signal: AbortSignal,
): Promise<RoundTrips> {
  const most = { reads: 0, writes: 0 }
  for (let round = 0; round < measureFrom; round += 1) {
    signal.throwIfAborted()
    for (const work of lanes.flatMap((lane) => openRound(lane, round, codecs))) {
      trips.reads = 0
      trips.writes = 0
      await workBatch(work, plan)
      most.reads = Math.max(most.reads, trips.reads)
      most.writes = Math.max(most.writes, trips.writes)
    }
  }
  return most
}

/** The lane's batch of this round, if it has one. */
function openRound(
  { session, rows, batches }: Lane,
  round: number,
  codecs: Codecs,
): readonly Work[] {
  rows.take()
  const batch = batches[round]
  if (batch === undefined) return []
  return [{ session, rows, batch: decodeBatch(batch, codecs), before: batches[round - 1] }]
}

async function workBatch({ session, rows, batch, before }: Work, plan: FeaturePlan): Promise<void> {
  const cut = before === undefined ? { nextOffset: 0, labelNextOffset: 0 } : endOf(before)
  const committed = { ...cut, newestEventMs: session.progress.newestEventMs }
  const cards = new Set(batch.transactions.map(({ card }) => card))
  const entities = new Set<number>()
  for (const kind of ENTITY_KINDS) {
    if (plan.entities[kind] === null) continue
    for (const transaction of batch.transactions) addEntity(kind, transaction, entities)
    for (const label of batch.labels) addEntity(kind, label, entities)
  }
  const reading = await session.read([...cards], [...entities], committed)
  if (reading.kind !== 'read') throw new Error(`The state of the benchmark is ${reading.kind}.`)
  rows.add(batch, reading.snapshot)
  const { generation } = session.progress
  const progress: LaneProgress = { generation, ...endOf(batch), ...rows.fold.position }
  const reply = await session.write(reading.snapshot, progress, committed)
  if (reply !== 'written') throw new Error(`The state of the benchmark is ${reply}.`)
}

function addEntity(kind: EntityKind, of: Transaction | Label, entities: Set<number>): void {
  const identifier = kind === 'network' ? of.ipNetwork : of[kind]
  if (identifier !== null) entities.add(entityKeyOf(kind, referenceOf(identifier)))
}
