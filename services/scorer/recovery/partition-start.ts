// Starts a partition: fences earlier owners in Redis and in Kafka, reads the committed offsets, and opens the state
// that matches them.

import {
  PARTITION_START,
  type PartitionPosition,
} from '../../core/features/engine/partition-fold.ts'
import { batchHashOf } from '../../core/audit/batch-hash.ts'
import { decodeMetadata, type Frontier } from '../../core/stream/partition-progress.ts'
import { type CardLease, LeaseReader } from '../../core/decision/leases.ts'
import type { Group, LogClient, LogWriter } from '../../platform/kafka/log-client.ts'
import { offsetOutOfRange } from '../../platform/kafka/log-ends.ts'
import type { Logger } from '../../platform/log.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type {
  PartitionSession,
  PartitionStore,
} from '../../platform/redis/partition-store-contract.ts'
import { fenced, lossOf, lost } from '../partition-errors.ts'
import type { InboxOptions } from '../intake/record-queue.ts'
import { Refold, type RefoldDeps } from './state-rebuilder.ts'
import { checkChain, type InputPlace, isWhereDecided } from './offset-agreement.ts'
import { planState } from './state-plan.ts'

/** The position and state from which a partition begins. */
export interface PartitionStart extends Frontier {
  readonly writer: LogWriter
  readonly position: PartitionPosition
  readonly chainHash: string
  /** The state, holding at least what is committed; null when it is behind or unavailable. */
  readonly session: PartitionSession | null
  readonly corruptGeneration: number | null
  /** Live leases of the partition's cards. */
  readonly leases: readonly CardLease[]
  /** State of the partition's blocks committed with the offsets; null for none. */
  readonly kept: string | null
}

export interface PartitionStarterOptions extends RefoldDeps {
  readonly store: PartitionStore
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  readonly leasesTopic: string
  readonly openWriter: () => Promise<LogWriter>
  readonly group: Pick<Group, 'readCommitted'>
  readonly readLast: LogClient['readLast']
  readonly readEnds: LogClient['readEnds']
  /** The epoch that the partition holds; null for a new assignment. */
  readonly epochs: { held: number | null }
  /** A generation of the state that is known to hold a damaged value; null for none. */
  readonly corruptGeneration: number | null
}

interface Committed extends Frontier {
  readonly places: { readonly transactions: InputPlace; readonly labels: InputPlace }
  readonly metadata: string | null
  readonly labelMetadata: string | null
  /** The oldest offsets that the log holds. */
  readonly low: Frontier
}

/** Null when another owner has taken over since the held epoch. */
export async function startPartition(
  options: PartitionStarterOptions,
): Promise<PartitionStart | null> {
  const epoch = await claim(options)
  if (epoch === 'fenced') return null
  // From here on no earlier owner can commit, so the committed offsets read next stay valid.
  const writer = await options.openWriter()
  try {
    const committed = await readCommitted(options)
    const metadata = decodeMetadata(committed.metadata)
    const lastHash = await checkLastBatch(options, committed, metadata?.chainHash ?? null)
    const [leases, session] = await Promise.all([
      readLeases(options),
      openState(options, epoch, committed),
    ])
    return {
      writer,
      nextOffset: committed.nextOffset,
      labelNextOffset: committed.labelNextOffset,
      position: metadata?.position ?? PARTITION_START,
      // Without metadata the offset was set by hand: the chain continues from the last decision batch.
      chainHash: metadata?.chainHash ?? lastHash ?? '',
      session,
      corruptGeneration: options.corruptGeneration,
      leases,
      kept: committed.labelMetadata,
    }
  } catch (error) {
    await writer.close().catch(() => undefined)
    throw error
  }
}

/**
 * Raises the epoch. Live, the partition does not wait for a Redis that does not answer: null, and the epoch is claimed
 * later.
 */
async function claim({ store, inbox, epochs, alignment }: PartitionStarterOptions) {
  try {
    const epoch = await store.claim(inbox.partition, epochs.held)
    if (epoch === null) return 'fenced'
    epochs.held = epoch
    return epoch
  } catch (error) {
    if (alignment === 'aligned' || lossOf(error) === null) throw error
    return null
  }
}

/**
 * Reads the leases of the partition's cards. Earlier writers are fenced, so the topic does not change meanwhile. The last
 * stable offset is not its end: the end of a transaction is written to a partition after the commit was answered, and until
 * then the leases of that commit lie behind it.
 */
async function readLeases({
  readEnds,
  readLast,
  readRange,
  inbox,
  leasesTopic,
  log,
  telemetry,
}: PartitionStarterOptions): Promise<readonly CardLease[]> {
  const { partition, codecs } = inbox
  const [last, { low: from }] = await Promise.all([
    readLast(leasesTopic, partition),
    readEnds(leasesTopic, partition),
  ])
  const leases = new LeaseReader(codecs)
  await readRange(
    { topic: leasesTopic, partition, from, to: last === null ? from : last.offset + 1 },
    (records) => {
      for (const { key, value } of records) leases.accept(key, value)
      return Promise.resolve()
    },
    null,
  )
  const { live, unreadable } = leases
  telemetry.leasesRead(partition, live.length, unreadable)
  if (unreadable > 0) {
    log.error(
      { partition, unreadable },
      'Leases cannot be read; their blocks end without a release.',
    )
  }
  return live
}

async function readCommitted({
  readEnds,
  group,
  inbox,
}: PartitionStarterOptions): Promise<Committed> {
  const { partition, transactionsTopic, labelsTopic } = inbox
  const next = async (topic: string) => {
    const [committed, { low, high }] = await Promise.all([
      group.readCommitted(topic, partition),
      readEnds(topic, partition),
    ])
    const { offset = null, metadata = null } = committed ?? {}
    if (offset !== null && (offset < low || offset > high)) {
      throw offsetOutOfRange(topic, partition, offset, { low, high })
    }
    return { offset: offset ?? low, low, metadata, place: { topic, committed: offset, low } }
  }
  const [transactions, labels] = await Promise.all([next(transactionsTopic), next(labelsTopic)])
  return {
    nextOffset: transactions.offset,
    labelNextOffset: labels.offset,
    places: { transactions: transactions.place, labels: labels.place },
    metadata: transactions.metadata,
    labelMetadata: labels.metadata,
    low: { nextOffset: transactions.low, labelNextOffset: labels.low },
  }
}

/**
 * Compares the last decision batch with the committed offsets, and with the hash committed beside them, null for an offset
 * that was set by hand. Returns its hash, base64; null without a decision batch.
 * @throws SluiceError SLUICE_PARTITION_OFFSET_LOST
 */
async function checkLastBatch(
  { readLast, inbox, decisionsTopic, log }: PartitionStarterOptions,
  { places }: Committed,
  committedHash: string | null,
): Promise<string | null> {
  const { partition, codecs } = inbox
  const last = await readLast(decisionsTopic, partition)
  const decoded = last === null ? null : codecs.decisionBatch.decode(last.value)
  if (decoded?.ok === true) {
    const lastHash = batchHashOf(decoded.value).toString('base64')
    if (isWhereDecided(partition, decoded.value, places)) {
      if (committedHash !== null)
        checkChain(partition, places.transactions, committedHash, lastHash)
    } else {
      log.warn(
        { partition, ...places, decidedTo: decoded.value.nextOffset },
        'The group was set past transactions or labels that the log no longer holds: they stay undecided.',
      )
    }
    return lastHash
  }
  // Retention may have removed all decision batches of a partition that was silent for long.
  if (last !== null || places.transactions.committed !== null) {
    log.warn(
      { partition, offset: places.transactions.committed, lastRecord: last?.offset ?? null },
      'The decisions topic does not end in a decision batch: the offset of the group is believed unchecked.',
    )
  }
  return null
}

/**
 * Opens the state when it matches the committed offsets. Otherwise an aligned replay waits until it is rebuilt from the
 * log, while a live partition starts without it (null) and never waits for Redis.
 */
async function openState(
  options: PartitionStarterOptions,
  epoch: number | null,
  committed: Committed,
): Promise<PartitionSession | null> {
  const { store, inbox, log, telemetry, alignment } = options
  const { partition } = inbox
  if (epoch === null) {
    telemetry.stateLost('unanswered')
    return null
  }
  try {
    const standing = await store.readStatus(partition)
    const { low } = committed
    const { corruptGeneration } = options
    const plan = planState({ standing, committed, low, corruptGeneration, epoch })
    if (plan.kind !== 'current') {
      telemetry.stateLost(plan.loss)
      const { generation, nextOffset: from } = plan.from
      log.warn(
        { partition, plan: plan.kind, loss: plan.loss, generation, from, to: committed.nextOffset },
        'The state differs from the committed offset and is rebuilt from the log.',
      )
      if (alignment === 'live') return null
    }
    const purpose = plan.kind === 'rebuild' ? 'rebuild' : 'work'
    const session = store.open(partition, epoch, standing, plan.from, purpose)
    if (plan.kind !== 'current') await restoreNow(options, session, committed)
    return session
  } catch (error) {
    const loss = lossOf(error)
    if (alignment === 'aligned' || loss === null) throw error
    telemetry.stateLost(loss)
    return null
  }
}

async function restoreNow(
  options: PartitionStarterOptions,
  session: PartitionSession,
  committed: Committed,
): Promise<void> {
  const { partition } = options.inbox
  await new Refold(options, session).foldLog(committed, null)
  if (!session.isRebuild) return
  const reply = await session.switchOver()
  if (reply !== 'written') throw reply === 'fenced' ? fenced(partition) : lost(partition, 'emptied')
}

/** The oldest offsets that the log holds of a partition. */
export async function readLow(
  readEnds: LogClient['readEnds'],
  { partition, transactionsTopic, labelsTopic }: InboxOptions,
): Promise<Frontier> {
  const transactions = await readEnds(transactionsTopic, partition)
  const labels = await readEnds(labelsTopic, partition)
  return { nextOffset: transactions.low, labelNextOffset: labels.low }
}
