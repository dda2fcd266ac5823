// A live stream without Kafka and Redis: partitions take turns in any order, read one another's state at frontiers that
// may be old, crash after a state write and before its commit, and leave decision batches, the input of a replay.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { EntityPart, type Frontier } from '../../services/core/features/state/entity-part.ts'
import type { EntityKind } from '../../services/core/features/catalogue/feature-definition.ts'
import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
} from '../../services/core/features/catalogue/feature-list.ts'
import { STATE } from '../../services/core/features/engine/feature-states.ts'
import type {
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
  type PartitionPosition,
} from '../../services/core/features/engine/partition-fold.ts'
import { FORGET_CARDS_MS } from '../../services/core/features/provenance/replay-parts.ts'
import {
  recordedBatchOf,
  type RecordedBatch,
  type ReplayEntry,
  type ReplayLabel,
} from '../../services/core/features/provenance/replay-records.ts'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import type { FrontierEntry, DecisionRecord } from '../../services/core/wire/records.ts'
import {
  foldBatch,
  type PartitionEntry,
  type PartitionLabel,
} from '../../services/scorer/batch/fold-batch.ts'
import type { StreamItem } from './feature-streams.ts'
import { PlainMessages } from './plain-state.ts'

/** The log of one partition. */
export interface RecordedLog {
  readonly entries: readonly PartitionEntry[]
  readonly labels: readonly PartitionLabel[]
}

/** Options of one turn of a partition. */
export interface LiveTurn {
  readonly partition: number
  readonly labels: number
  readonly entries: number
  /** True when the partition reads the progress of the others, instead of reusing what it read last. */
  readonly looks: boolean
  readonly crashes: boolean
  /** Nothing of the state can be read. */
  readonly isDegraded: boolean
}

export function recordOf(transaction: Transaction): Uint8Array {
  return Buffer.from(JSON.stringify(transaction))
}

export function readRecord(record: Uint8Array): Transaction {
  return JSON.parse(Buffer.from(record).toString()) as Transaction
}

/**
 * Removes repeats of an id that is older than a replay remembers a card without other events: in the scorer, too, only
 * the lifetime of its keys decides whether it still knows such a card.
 */
export function inMemory(items: readonly StreamItem[]): readonly StreamItem[] {
  const firstMs = new Map<string, number>()
  return items.filter((item) => {
    if (item.kind === 'label') return true
    const { id, eventTimeMs } = item.transaction
    const known = firstMs.get(id)
    if (known === undefined) firstMs.set(id, eventTimeMs)
    return known === undefined || eventTimeMs - known < FORGET_CARDS_MS
  })
}

/** Deals a stream out to partitions by card; every fifth offset is a control record of Kafka. */
export function dealLive(
  items: readonly StreamItem[],
  partitionCount: number,
): readonly RecordedLog[] {
  const logs = Array.from({ length: partitionCount }, () => ({
    entries: [] as PartitionEntry[],
    labels: [] as PartitionLabel[],
  }))
  for (const item of items) {
    const { card } = item.kind === 'label' ? item.label : item.transaction
    const log = logs[partitionOfText(card, partitionCount)]
    if (log === undefined) throw new Error('No partition.')
    if (item.kind === 'label') {
      log.labels.push({ kind: 'label', offset: next(log.labels), label: item.label })
      continue
    }
    const { transaction } = item
    log.entries.push({
      kind: 'transaction',
      offset: next(log.entries),
      timestampMs: transaction.eventTimeMs,
      transaction,
      record: recordOf(transaction),
    })
  }
  return logs
}

function next(log: readonly { readonly offset: number }[]): number {
  const offset = (log.at(-1)?.offset ?? -1) + 1
  return offset % 5 === 4 ? offset + 1 : offset
}

/** The log as input of a replay. */
export function entriesOf({ entries }: RecordedLog): readonly ReplayEntry[] {
  return entries.map((entry) =>
    entry.kind === 'transaction' ? { ...entry, record: entry.record ?? null } : entry,
  )
}

export function labelsOf({ labels }: RecordedLog): readonly ReplayLabel[] {
  return labels
}

/** Decision batches in commit order. `stepMs` is their distance by their own clock. */
export function runLive(
  logs: readonly RecordedLog[],
  turns: readonly LiveTurn[],
  stepMs = 1_000,
): readonly RecordedBatch[] {
  const partitions: LivePartition[] = []
  for (const [partition, log] of logs.entries())
    partitions.push(new LivePartition(partition, log, partitions))
  const batches: RecordedBatch[] = []
  const take = (turn: LiveTurn): void => {
    const batch = partitions[turn.partition % partitions.length]?.step(
      turn,
      batches.length * stepMs,
    )
    if (batch !== null && batch !== undefined) batches.push(batch)
  }
  for (const turn of turns) take(turn)
  const rest = { labels: 7, entries: 5, looks: true, crashes: false, isDegraded: false }
  while (partitions.some(({ isAtEnd }) => !isAtEnd)) {
    for (const partition of partitions.keys()) take({ ...rest, partition })
  }
  return batches
}

interface Place {
  readonly entryCount: number
  readonly labelCount: number
  readonly position: PartitionPosition
}

class LivePartition implements PartitionState {
  /**
   * As in the scorer: an event that is far behind another partition finds that partition's aggregates of its time
   * already dropped.
   */
  entityHorizonMs = -Infinity
  readonly messages = new PlainMessages()
  readonly #partition: number
  readonly #log: RecordedLog
  readonly #partitions: readonly LivePartition[]
  readonly #cards = new Map<string, CardHistory>()
  readonly #parts = new Map<string, EntityPart>()
  #fold = new PartitionFold({ rates: DEFAULT_RATES, readRecord }, PARTITION_START)
  #committed: Place = { entryCount: 0, labelCount: 0, position: PARTITION_START }
  /** Last value written with the state; a crash rolls it back with the state. */
  progress: (Frontier & { readonly newestEventMs: number }) | null = null
  #seen: readonly FrontierEntry[] = []

  constructor(partition: number, log: RecordedLog, partitions: readonly LivePartition[]) {
    this.#partition = partition
    this.#log = log
    this.#partitions = partitions
  }

  get isAtEnd(): boolean {
    const { entryCount, labelCount } = this.#committed
    return entryCount === this.#log.entries.length && labelCount === this.#log.labels.length
  }

  step(turn: LiveTurn, decidedAtMs: number): RecordedBatch | null {
    if (turn.looks) {
      this.#seen = this.#look()
      const others = this.#partitions.filter((partition) => partition !== this)
      const newestMs = others.map(({ progress }) => progress?.newestEventMs ?? -Infinity)
      this.entityHorizonMs = Math.max(...newestMs) - LATENESS_MS
    }
    const { entryCount, labelCount } = this.#committed
    const entries = this.#log.entries.slice(entryCount, entryCount + turn.entries)
    const labels = this.#log.labels.slice(labelCount, labelCount + turn.labels)
    if (entries.length + labels.length === 0) return null
    const nextOffset = endOf(this.#log.entries, entryCount + entries.length)
    const labelNextOffset = endOf(this.#log.labels, labelCount + labels.length)
    const batch = turn.isDegraded
      ? this.#foldDegraded(labels, entries, labelNextOffset)
      : foldBatch({ labels, entries, labelNextOffset }, this.#fold, this, 'live')
    const { newestEventMs } = this.#fold.position
    this.progress = { nextOffset, labelNextOffset, newestEventMs }
    if (turn.crashes) {
      for (const history of this.#cards.values())
        history.forgetFrom(endOf(this.#log.entries, entryCount))
      this.#fold = new PartitionFold({ rates: DEFAULT_RATES, readRecord }, this.#committed.position)
      return null
    }
    this.#committed = {
      entryCount: entryCount + entries.length,
      labelCount: labelCount + labels.length,
      position: this.#fold.position,
    }
    return this.#batchOf(batch, nextOffset, labelNextOffset, decidedAtMs)
  }

  card(card: string): CardHistory {
    const history = this.#cards.get(card) ?? new CardHistory()
    this.#cards.set(card, history)
    return history
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const part = this.#parts.get(`${kind}/${ref}`) ?? new EntityPart()
    this.#parts.set(`${kind}/${ref}`, part)
    return part
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    return this.#seen.flatMap((frontier) => {
      const part = this.#partitions[frontier.partition]?.ownEntity(kind, ref)
      return part === undefined ? [] : [{ part, frontier }]
    })
  }

  #look(): readonly FrontierEntry[] {
    return this.#partitions.flatMap(({ progress }, partition) => {
      if (progress === null || partition === this.#partition) return []
      const { nextOffset, labelNextOffset } = progress
      return [{ partition, nextOffset, labelNextOffset }]
    })
  }

  /** Decides without state; the state is computed afterwards, as a restore does. */
  #foldDegraded(
    labels: readonly PartitionLabel[],
    entries: readonly PartitionEntry[],
    labelNextOffset: number,
  ): ReturnType<typeof foldBatch> {
    const before = this.#fold.position
    const batch = foldBatch({ labels, entries, labelNextOffset }, this.#fold, null, 'live')
    const restore = new PartitionFold({ rates: DEFAULT_RATES, readRecord }, before)
    foldBatch({ labels, entries, labelNextOffset }, restore, this, 'live')
    return batch
  }

  #batchOf(
    batch: ReturnType<typeof foldBatch>,
    nextOffset: number,
    labelNextOffset: number,
    decidedAtMs: number,
  ): RecordedBatch {
    const decisions: DecisionRecord[] = []
    const values: number[] = []
    const states: number[] = []
    for (const [index, { offset, transaction, folded }] of batch.rows.entries()) {
      const { annotations, duplicateOfOffset } = folded
      decisions.push(decisionOf(transaction, { offset, annotations, duplicateOfOffset }))
      const at = index * FEATURE_COUNT
      values.push(...batch.features.subarray(at, at + FEATURE_COUNT))
      states.push(...batch.states.subarray(at, at + FEATURE_COUNT))
    }
    for (const { offset: causeOffset, folded } of batch.rows) {
      for (const { offset, transaction, revision, after } of folded.recomputed) {
        decisions.push(decisionOf(transaction, { offset, revision, causeOffset }))
        values.push(...after.row)
        states.push(...after.states)
      }
    }
    const features = Float64Array.from(values)
    return recordedBatchOf({
      ...NO_BLOCK,
      partition: this.#partition,
      nextOffset,
      labelNextOffset,
      frontier: this.#seen,
      decidedAtMs,
      features: new Uint8Array(features.buffer),
      featureStates: states.some((state) => state > STATE.absent) ? Uint8Array.from(states) : null,
      decisions,
    })
  }
}

const NO_BLOCK = {
  streamId: 'test',
  firstOffset: 0,
  watermarks: 0,
  alignment: 'live',
  mode: 'flag',
  modelVersion: '',
  modelDigest: '',
  backend: 'cpu',
  policyDigest: '',
  policyVersion: 0,
  featureListHash: FEATURE_LIST_HASH,
  ratesDigest: DEFAULT_RATES.digest,
  controlPosition: null,
  previousHash: new Uint8Array(),
  featureCount: FEATURE_COUNT,
  deadLetterOffsets: [],
  digestSalts: new Uint8Array(),
  erased: [],
} as const

function decisionOf(
  { id, card, eventTimeMs, amountMinor, currency }: Transaction,
  given: Pick<DecisionRecord, 'offset'> & Partial<DecisionRecord>,
): DecisionRecord {
  return {
    revision: 0,
    transactionId: id,
    card,
    eventTimeMs,
    amountMinor,
    currency,
    outcome: 'approve',
    score: 0,
    notScored: null,
    duplicateOfOffset: null,
    annotations: [],
    reasons: [],
    entityAgeMs: null,
    causeOffset: null,
    segment: null,
    rules: [],
    ...given,
  }
}

function endOf(log: readonly { readonly offset: number }[], count: number): number {
  return count === 0 ? 0 : (log[count - 1]?.offset ?? 0) + 1
}
