// One partition's log applied one by one without storage, and in batches through stored values with crashes.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import {
  foldEntries,
  foldExpecting,
  openFold,
  PlainState,
  type FoldedRow,
  type PartitionLog,
} from './fold-entries.ts'
import type { Guards } from './stored-partitions.ts'
import { StoredPartition, StoredPartitions } from './stored-partitions.ts'

/** Options of one batch. */
export interface Step {
  readonly entries: number
  /** Labels taken beyond those that must be known. */
  readonly labelsAhead: number
  readonly end: 'commit' | 'crash' | 'none'
  /** True when values are read from the store instead of reused from the previous batch. */
  readonly evicts: boolean
}

export const frontiers: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record<Step>({
    entries: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 4, max: 60 })),
    labelsAhead: fc.constantFrom(0, 0, 1, 100),
    end: fc.constantFrom('commit', 'commit', 'crash', 'none'),
    evicts: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
)

/** Per entry: the number of labels that must come before it, so that it sees all that are known by its time. */
function labelsNeeded({ entries, labels }: PartitionLog): readonly number[] {
  let newestMs = -1
  return entries.map((entry) => {
    const timeMs = entry.kind === 'transaction' ? entry.transaction.eventTimeMs : -1
    newestMs = Math.max(newestMs, timeMs)
    const last = labels.findLastIndex(
      (label) => label.kind === 'label' && label.label.knownAtMs <= newestMs,
    )
    return last + 1
  })
}

/** Without expectations: each transaction is looked up when it arrives. */
export function rowsOneByOne(log: PartitionLog, state = new PlainState()): readonly FoldedRow[] {
  const fold = openFold(PARTITION_START)
  const needed = labelsNeeded(log)
  let labelCount = 0
  const rows = log.entries.flatMap((entry, index) => {
    const labels = log.labels.slice(labelCount, needed[index])
    labelCount = Math.max(labelCount, needed[index] ?? 0)
    return foldExpecting([], { labels, entries: [entry] }, fold, state)
  })
  foldEntries(log.labels.slice(labelCount), [], Infinity, fold, state)
  return rows
}

/** By offset. Asserts that a transaction that is computed again after a crash gets the same row. */
export function rowsInBatches(
  log: PartitionLog,
  plan: readonly Step[],
  stored = new StoredPartitions(1),
  guards?: Guards,
): ReadonlyMap<number, FoldedRow> {
  const partition = new StoredPartition(stored, 0, log, guards)
  const needed = labelsNeeded(log)
  const rows = new Map<number, FoldedRow>()
  for (let turn = 0; !partition.isAtEnd; turn += 1) {
    const frontier = plan[turn % plan.length]
    assert.ok(frontier !== undefined)
    // Beyond the plan's first rounds everything is taken, so that the loop ends.
    const isOver = turn >= 4 * plan.length
    const size = isOver ? 50 : frontier.entries
    const entryCount = Math.min(partition.at.entryCount + size, log.entries.length)
    const due = needed[entryCount - 1] ?? 0
    const labelsAhead = entryCount === log.entries.length ? log.labels.length : frontier.labelsAhead
    const labelCount = Math.min(
      Math.max(partition.at.labelCount, due) + labelsAhead,
      log.labels.length,
    )
    if (frontier.evicts) partition.evict()
    for (const row of partition.step({ entryCount, labelCount })) {
      const before = rows.get(row.offset)
      if (before !== undefined) assert.deepEqual(row, before, 'decided differently after a crash')
      rows.set(row.offset, row)
    }
    if (frontier.end === 'crash' && !isOver) partition.crash()
    else if (frontier.end !== 'none') partition.commit()
  }
  return rows
}
