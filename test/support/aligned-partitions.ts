// An aligned replay without Kafka and Redis: a stream with watermarks, dealt to partitions, which then progress in any
// order that the alignment allows, in batches, with crashes.

import { AlignedBatch } from '../../services/core/stream/alignment.ts'
import type { PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import { DAY_MS, HOUR_MS, type StreamItem } from './feature-streams.ts'
import {
  foldEntries,
  nextOffset,
  openFold,
  PlainState,
  type Entry,
  type FoldedRow,
  type LabelEntry,
  type PartitionLog,
} from './fold-entries.ts'
import { StoredPartition, StoredPartitions, type Guards } from './stored-partitions.ts'

/** Longest interval of event time between two watermarks, well below the delay of entity windows. */
const INTERVAL_MS_MAX = HOUR_MS - 1

/** The position of one message: a partition, and the index among its entries or labels. */
interface Sent {
  readonly partition: number
  readonly kind: 'entry' | 'label'
  readonly index: number
}

/** The logs of all partitions, and the order in which their messages were sent. */
export interface AlignedStream {
  readonly logs: readonly PartitionLog[]
  readonly sent: readonly Sent[]
}

/** Options of one turn of a partition. */
export interface Turn {
  readonly partition: number
  readonly labels: number
  readonly entries: number
  /** True when the partition reads the progress of the others before it decides what to take. */
  readonly looks: boolean
  readonly crashes: boolean
}

/** As mayGoOn of core/stream/alignment.ts. */
export type Gate = (
  eventTimeMs: number,
  partition: number,
  ownLabelWatermarkMs: number,
  progress: readonly (PartitionProgress | null)[],
) => boolean

/** Records of a producer: the stream, and watermarks that go to every partition. */
export type SentItem =
  | StreamItem
  | {
      readonly kind: 'watermark'
      readonly topic: 'transactions' | 'labels'
      readonly timeMs: number
    }

/** Adds a watermark about every `stretchItems` items. A late item comes after its watermark. */
export function withStretches(
  items: readonly StreamItem[],
  stretchItems: number,
): readonly SentItem[] {
  const sent: SentItem[] = []
  let interval: StreamItem[] = []
  let firstMs = Infinity
  let newestMs = -Infinity
  const end = (timeMs: number): void => {
    sent.push(...interval.filter(({ kind }) => kind === 'label'))
    sent.push({ kind: 'watermark', topic: 'labels', timeMs })
    sent.push(...interval.filter(({ kind }) => kind === 'transaction'))
    sent.push({ kind: 'watermark', topic: 'transactions', timeMs })
    interval = []
    firstMs = Infinity
  }
  for (const item of items) {
    const timeMs = item.kind === 'label' ? -Infinity : item.transaction.eventTimeMs
    const isFull = interval.length >= stretchItems || timeMs - firstMs > INTERVAL_MS_MAX
    // The stream starts with a watermark, since the partitions would otherwise wait for each other.
    if (timeMs > newestMs && (newestMs === -Infinity || isFull)) end(timeMs - 1)
    interval.push(item)
    newestMs = Math.max(newestMs, timeMs)
    if (item.kind === 'transaction') firstMs = Math.min(firstMs, newestMs)
  }
  end(newestMs + 100 * DAY_MS)
  return sent
}

/** Appends sent items to the logs of the partitions. */
export function dealOut(
  items: Iterable<SentItem>,
  partitionCount: number,
  partitionOf: (card: string) => number,
): AlignedStream {
  const logs = Array.from({ length: partitionCount }, () => ({
    entries: [] as Entry[],
    labels: [] as LabelEntry[],
  }))
  const sent: Sent[] = []
  for (const item of items) {
    const card =
      item.kind === 'watermark'
        ? null
        : (item.kind === 'label' ? item.label : item.transaction).card
    const isLabel = item.kind === 'label' || (item.kind === 'watermark' && item.topic === 'labels')
    for (const [partition, log] of logs.entries()) {
      if (card !== null && partitionOf(card) !== partition) continue
      if (isLabel) log.labels.push(labelEntryOf(item, nextOffset(log.labels)))
      else log.entries.push(entryOf(item, nextOffset(log.entries)))
      const index = (isLabel ? log.labels : log.entries).length - 1
      sent.push({ partition, kind: isLabel ? 'label' : 'entry', index })
    }
  }
  return { logs, sent }
}

function entryOf(item: SentItem, offset: number): Entry {
  if (item.kind === 'label') throw new Error('A label is no entry.')
  if (item.kind === 'watermark') return { kind: 'watermark', offset, timeMs: item.timeMs }
  return { kind: 'transaction', offset, transaction: item.transaction }
}

function labelEntryOf(item: SentItem, offset: number): LabelEntry {
  if (item.kind === 'transaction') throw new Error('A transaction is no label.')
  if (item.kind === 'watermark') return { kind: 'watermark', offset, timeMs: item.timeMs }
  return { kind: 'label', offset, label: item.label }
}

/** Rows by partition and offset, with every message applied in the order in which it was sent. */
export function foldInOrder({ logs, sent }: AlignedStream): ReadonlyMap<string, FoldedRow> {
  const states: PlainState[] = []
  while (states.length < logs.length) states.push(new PlainState(states))
  const folds = logs.map(() => openFold(PARTITION_START))
  const rows = new Map<string, FoldedRow>()
  for (const { partition, kind, index } of sent) {
    const [log, fold, state] = [logs[partition], folds[partition], states[partition]]
    if (log === undefined || fold === undefined || state === undefined) continue
    const isLabel = kind === 'label'
    const labels = isLabel ? log.labels.slice(index, index + 1) : []
    const entries = isLabel ? [] : log.entries.slice(index, index + 1)
    const folded = foldEntries(labels, entries, Infinity, fold, state)
    for (const row of folded) rows.set(`${partition}/${row.offset}`, row)
  }
  return rows
}

/**
 * Rows by partition and offset, of partitions that take their turns as planned and otherwise in order. Null when they
 * are stuck: none may continue, and not all are done. A row that is computed again after a crash replaces the first.
 */
export function foldAligned(
  { logs }: AlignedStream,
  turns: readonly Turn[],
  gate: Gate,
  guards?: Guards,
): ReadonlyMap<string, FoldedRow> | null {
  const stored = new StoredPartitions(logs.length)
  const partitions = logs.map(
    (log, partition) => new StoredPartition(stored, partition, log, guards),
  )
  const seen = logs.map(() => [...stored.progress])
  const rows = new Map<string, FoldedRow>()
  const take = (partition: number, turn: Turn): boolean => {
    const [own, log] = [partitions[partition], logs[partition]]
    if (own === undefined || log === undefined || own.isAtEnd) return false
    if (turn.looks) seen[partition] = [...stored.progress]
    const { entryCount, labelCount } = own.at
    const labels = log.labels.slice(labelCount, labelCount + turn.labels)
    const labelWatermarkMs = Math.max(
      own.position.labelWatermarkMs,
      ...labels.map((label) => (label.kind === 'watermark' ? label.timeMs : -1)),
    )
    const waiting = log.entries.slice(entryCount, entryCount + turn.entries)
    const { newestEventMs, watermarkMs } = own.position
    const batch = new AlignedBatch(Math.max(newestEventMs, watermarkMs))
    const held = waiting.findIndex((entry) => {
      if (entry.kind === 'watermark') return !batch.addWatermark(entry.timeMs)
      const { eventTimeMs } = entry.transaction
      if (!gate(eventTimeMs, partition, labelWatermarkMs, seen[partition] ?? [])) return true
      batch.addTransaction(eventTimeMs)
      return false
    })
    const taken = held < 0 ? waiting.length : held
    if (taken + labels.length === 0) return false
    const to = { entryCount: entryCount + taken, labelCount: labelCount + labels.length }
    for (const row of own.step(to)) rows.set(`${partition}/${row.offset}`, row)
    if (turn.crashes) own.crash()
    else own.commit()
    return true
  }
  for (const turn of turns) take(turn.partition % logs.length, turn)
  while (partitions.some((partition) => !partition.isAtEnd)) {
    const last: Turn = { partition: 0, labels: 20, entries: 20, looks: true, crashes: false }
    const movedCount = partitions.filter((_, partition) => take(partition, last)).length
    if (movedCount === 0) return null
  }
  return rows
}
