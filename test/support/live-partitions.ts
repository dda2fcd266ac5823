// Live partitions without Kafka and Redis: no partition waits, batches see the other partitions as of their own start,
// and this frontier is recorded. The logs and the records alone must give the same rows.

import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import type { AlignedStream, Turn } from './aligned-partitions.ts'
import {
  foldEntries,
  openFold,
  PlainState,
  type FoldedRow,
  type PartitionLog,
} from './fold-entries.ts'
import {
  horizonOf,
  offsetsAt,
  StoredPartition,
  StoredPartitions,
  type Frontiers,
  type LogPosition,
} from './stored-partitions.ts'

/** Fields of a decision batch besides its decisions. */
export interface RecordedBatch {
  readonly partition: number
  readonly from: LogPosition
  readonly to: LogPosition
  readonly frontiers: Frontiers
}

export interface LiveRun {
  /** By partition and offset. */
  readonly rows: ReadonlyMap<string, FoldedRow>
  readonly batches: readonly RecordedBatch[]
}

/** Partitions that take their turns as planned, and otherwise in order. Only committed results are returned. */
export function foldLive({ logs }: Pick<AlignedStream, 'logs'>, turns: readonly Turn[]): LiveRun {
  const stored = new StoredPartitions(logs.length)
  const partitions = logs.map((log, partition) => new StoredPartition(stored, partition, log))
  const rows = new Map<string, FoldedRow>()
  const batches: RecordedBatch[] = []
  const take = (index: number, turn: Turn): void => {
    const [partition, log] = [partitions[index], logs[index]]
    if (partition === undefined || log === undefined) return
    const from = partition.at
    const to = {
      entryCount: Math.min(from.entryCount + turn.entries, log.entries.length),
      labelCount: Math.min(from.labelCount + turn.labels, log.labels.length),
    }
    const frontiers = [...stored.progress]
    const folded = partition.step(to, frontiers)
    if (turn.crashes) {
      partition.crash()
      return
    }
    partition.commit()
    for (const row of folded) rows.set(`${index}/${row.offset}`, row)
    batches.push({ partition: index, from, to, frontiers })
  }
  for (const turn of turns) take(turn.partition % logs.length, turn)
  const last: Turn = { partition: 0, labels: 20, entries: 20, looks: true, crashes: false }
  while (partitions.some((partition) => !partition.isAtEnd))
    for (const index of partitions.keys()) take(index, last)
  return { rows, batches }
}

/** The rows from the logs and the records, in memory, one partition after the other. */
export function recomputeLive(
  logs: readonly PartitionLog[],
  batches: readonly RecordedBatch[],
): ReadonlyMap<string, FoldedRow> {
  const whole = logs.map((log) => {
    const state = new PlainState()
    foldEntries(log.labels, log.entries, Infinity, openFold(PARTITION_START), state)
    return state
  })
  const rows = new Map<string, FoldedRow>()
  for (const [partition, log] of logs.entries()) {
    const all = [...whole]
    const state = new PlainState(all)
    all[partition] = state
    const fold = openFold(PARTITION_START)
    for (const { from, to, frontiers } of batches.filter(
      (batch) => batch.partition === partition,
    )) {
      state.frontiers = frontiers
      state.entityHorizonMs = horizonOf(frontiers, partition)
      const labels = log.labels.slice(from.labelCount, to.labelCount)
      const entries = log.entries.slice(from.entryCount, to.entryCount)
      const { labelNextOffset } = offsetsAt(log, to)
      for (const row of foldEntries(labels, entries, labelNextOffset, fold, state)) {
        rows.set(`${partition}/${row.offset}`, row)
      }
    }
  }
  return rows
}
