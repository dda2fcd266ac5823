// How a lane starts: fence earlier owners in Redis and in Kafka, read back what is committed, and make the state
// hold just that.

import type { Admin, Kafka } from 'kafkajs'
import { LANE_START, LaneFold, type LanePosition } from '../core/features/lane-fold.ts'
import { decodeMetadata, furthest, type LaneProgress } from '../core/stream/lane-progress.ts'
import { readLaneLog } from '../platform/kafka/lane-log.ts'
import type { LaneTransactions } from '../platform/kafka/lane-transactions.ts'
import type { Logger } from '../platform/log.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import type { LaneStore } from '../platform/redis/lane-store-contract.ts'
import { fenced, lost, outOfRange } from './lane-errors.ts'
import { LaneInbox, type InboxOptions, type Taken } from './lane-inbox.ts'
import { foldBatch } from './micro-batch.ts'

/** kafkajs commits this ("earliest") for a partition whose offset was out of range while it fetched. */
const RESET_BY_KAFKAJS = -2

/** State may be ahead of the commit by a batch that was written and not committed; by more it is another log's. */
const AHEAD_OFFSETS_MAX = 2 * 4_096

/** Where a lane begins. */
export interface LaneStart {
  readonly epoch: number
  readonly transactions: LaneTransactions
  readonly nextOffset: number
  readonly labelNextOffset: number
  readonly position: LanePosition
  readonly chainHash: string
  /** What the state holds; at least what is committed. */
  readonly progress: LaneProgress
}

export interface LaneStarterOptions {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly groupId: string
  readonly store: LaneStore
  readonly inbox: InboxOptions
  readonly alignment: 'live' | 'aligned'
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  readonly openTransactions: () => Promise<LaneTransactions>
}

interface Committed {
  readonly nextOffset: number
  readonly labelNextOffset: number
  readonly isFirst: boolean
  readonly metadata: string | null
  readonly low: { readonly transactions: number; readonly labels: number }
}

/**
 * Null when another owner has taken over since `heldEpoch`. With `mustRebuild` the state is known to be damaged
 * and is folded again into a new generation.
 */
export async function startLane(
  options: LaneStarterOptions,
  heldEpoch: number | null,
  mustRebuild: boolean,
): Promise<LaneStart | null> {
  const { store, inbox } = options
  const epoch = await store.claim(inbox.partition, heldEpoch)
  if (epoch === null) return null
  // From here on no earlier owner can commit, so what is read back next stays true.
  const transactions = await options.openTransactions()
  try {
    const committed = await readCommitted(options)
    const metadata = decodeMetadata(committed.metadata)
    const progress = await repairState(options, epoch, committed, mustRebuild)
    return {
      epoch,
      transactions,
      nextOffset: committed.nextOffset,
      labelNextOffset: committed.labelNextOffset,
      position: metadata?.position ?? LANE_START,
      chainHash: metadata?.chainHash ?? '',
      progress,
    }
  } catch (error) {
    await transactions.close().catch(() => undefined)
    throw error
  }
}

/** Offsets that the log holds: from `low` up to but without `high`. */
async function logRange(
  admin: Admin,
  topic: string,
  partition: number,
): Promise<{ readonly low: number; readonly high: number }> {
  const offsets = await admin.fetchTopicOffsets(topic)
  const entry = offsets.find((offset) => offset.partition === partition)
  return { low: Number(entry?.low ?? 0), high: Number(entry?.high ?? 0) }
}

/** @throws SluiceError SLUICE_LANE_OFFSET_OUT_OF_RANGE when retention has taken the offset. */
export async function checkLogHolds(
  admin: Admin,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const { low, high } = await logRange(admin, topic, partition)
  if (offset < low) throw outOfRange(topic, partition, offset, low, high)
}

async function readCommitted({ admin, groupId, inbox }: LaneStarterOptions): Promise<Committed> {
  const { partition, transactionsTopic, labelsTopic } = inbox
  const topics = [transactionsTopic, labelsTopic]
  const groups = await admin.fetchOffsets({ groupId, topics })
  const find = (topic: string) =>
    groups
      .find((group) => group.topic === topic)
      ?.partitions.find((entry) => entry.partition === partition)
  const next = async (topic: string) => {
    const { low, high } = await logRange(admin, topic, partition)
    const offset = Number(find(topic)?.offset ?? -1)
    if (offset === RESET_BY_KAFKAJS || (offset >= 0 && (offset < low || offset > high))) {
      throw outOfRange(topic, partition, offset, low, high)
    }
    return { offset: offset < 0 ? low : offset, low, isFirst: offset < 0 }
  }
  const transactions = await next(transactionsTopic)
  const labels = await next(labelsTopic)
  return {
    nextOffset: transactions.offset,
    labelNextOffset: labels.offset,
    isFirst: transactions.isFirst,
    metadata: find(transactionsTopic)?.metadata ?? null,
    low: { transactions: transactions.low, labels: labels.low },
  }
}

/** Compares what the state holds with what is committed, and folds what is missing from the log. */
async function repairState(
  options: LaneStarterOptions,
  epoch: number,
  committed: Committed,
  mustRebuild: boolean,
): Promise<LaneProgress> {
  const { store, inbox, log, telemetry } = options
  const { nextOffset, labelNextOffset } = committed
  const known = (await store.readProgress())[inbox.partition] ?? null
  const isUsable =
    !mustRebuild && known !== null && known.nextOffset - nextOffset <= AHEAD_OFFSETS_MAX
  if (isUsable && known.nextOffset >= nextOffset && known.labelNextOffset >= labelNextOffset) {
    return known
  }
  const empty: LaneProgress = {
    ...LANE_START,
    generation: (known?.generation ?? 0) + 1,
    nextOffset: committed.low.transactions,
    labelNextOffset: committed.low.labels,
  }
  const from = isUsable ? known : empty
  if (from.nextOffset >= nextOffset && from.labelNextOffset >= labelNextOffset) return from
  log.warn(
    {
      partition: inbox.partition,
      from: from.nextOffset,
      to: nextOffset,
      generation: from.generation,
    },
    'The state is behind what is committed and is folded again from the log.',
  )
  telemetry.stateRebuilt()
  return refold(options, epoch, from, { nextOffset, labelNextOffset })
}

/** Folds a stretch of the log into the state without deciding or publishing anything. */
async function refold(
  options: LaneStarterOptions,
  epoch: number,
  from: LaneProgress,
  to: { readonly nextOffset: number; readonly labelNextOffset: number },
): Promise<LaneProgress> {
  const { kafka, groupId, store, inbox } = options
  const { partition, transactionsTopic, labelsTopic } = inbox
  // Only the position: what else `from` holds would shine through where the fold's position is read back.
  const { newestEventMs, watermarkMs, labelWatermarkMs } = from
  const fold = new LaneFold(inbox.rates, { newestEventMs, watermarkMs, labelWatermarkMs })
  const reader = new LaneInbox(inbox, from.nextOffset, from.labelNextOffset)
  let progress = from
  const foldTaken = async (): Promise<void> => {
    for (;;) {
      const taken = reader.take(0, Infinity, () => true)
      if (taken === null) return
      const touched = touchedBy(taken)
      const snapshot = await store.read(
        partition,
        from.generation,
        touched.cards,
        touched.terminals,
      )
      foldBatch(
        taken.labels,
        taken.entries,
        taken.labelNextOffset,
        fold,
        snapshot,
        options.alignment,
      )
      const { nextOffset, labelNextOffset } = taken
      const generation = from.generation
      progress = furthest({ generation, nextOffset, labelNextOffset, ...fold.position }, progress)
      const reply = await store.write(partition, epoch, snapshot, progress, {
        nextOffset,
        labelNextOffset,
      })
      if (reply !== 'written') throw reply === 'fenced' ? fenced(partition) : lost(partition)
    }
  }
  await readLaneLog(
    kafka,
    `${groupId}-refold-${partition}-${epoch}`,
    partition,
    [
      { topic: transactionsTopic, from: from.nextOffset, to: to.nextOffset },
      { topic: labelsTopic, from: from.labelNextOffset, to: to.labelNextOffset },
    ],
    async (topic, messages) => {
      reader.push(topic === transactionsTopic ? 'transactions' : 'labels', messages)
      await foldTaken()
    },
  )
  return furthest({ ...progress, ...to }, progress)
}

/** Cards and terminals whose values a batch needs. */
export function touchedBy({ entries, labels }: Pick<Taken, 'entries' | 'labels'>): {
  readonly cards: readonly string[]
  readonly terminals: readonly string[]
} {
  const cards = new Set<string>()
  const terminals = new Set<string>()
  for (const entry of entries) {
    if (entry.kind === 'watermark') continue
    cards.add(entry.transaction.card)
    if (entry.transaction.terminal !== null) terminals.add(entry.transaction.terminal)
  }
  for (const entry of labels) {
    if (entry.kind === 'label' && entry.label.terminal !== null) terminals.add(entry.label.terminal)
  }
  return { cards: [...cards], terminals: [...terminals] }
}

/** `touchedBy`, and the cards of labels as well: what was decided for them is looked up. */
export function readFor(taken: Pick<Taken, 'entries' | 'labels'>): {
  readonly cards: readonly string[]
  readonly terminals: readonly string[]
} {
  const { cards, terminals } = touchedBy(taken)
  if (taken.labels.length === 0) return { cards, terminals }
  const all = new Set(cards)
  for (const entry of taken.labels) if (entry.kind === 'label') all.add(entry.label.card)
  return { cards: [...all], terminals }
}
