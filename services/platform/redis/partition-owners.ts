// The partitions that this process works itself. What such a partition knows of entities is in memory, so the others need not ask
// Redis for it: they make sure, by the progress that they read with every batch, that Redis holds the same state, and see
// all that the partition has folded by the time they fold.

import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { KeptValues } from './value-cache.ts'

/** A session as other partitions of the process see it. */
export interface PartitionOwner {
  readonly generation: number
  /** What it keeps in memory of entities, by key. */
  readonly kept: Pick<KeptValues, 'get' | 'isIncomplete'>
  /** Up to where its batches are folded, all of it in what it keeps; null while it folds one. */
  readonly folded: PartitionProgress | null
  /** False while a write is on its way. */
  readonly isFinalised: boolean
  /**
   * True when what is in memory holds all that the state with this progress holds; it may hold more, which lies outside
   * of the frontier.
   */
  holds(progressText: string): boolean
}

/** Entities that are known to have no value, per partition; beyond this many all are asked for again. */
const ABSENT_MAX = 262_144

interface Entry {
  readonly owner: PartitionOwner
  readonly absent: Set<number>
}

export class PartitionOwners {
  readonly #entries = new Map<number, Entry>()

  /** From now on `owner` is the one that writes the partition. */
  enter(partition: number, owner: PartitionOwner): void {
    this.#entries.set(partition, { owner, absent: new Set() })
  }

  leave(partition: number, owner: PartitionOwner): void {
    if (this.#entries.get(partition)?.owner === owner) this.#entries.delete(partition)
  }

  /** Null when another process has the partition, or nobody. */
  of(partition: number): PartitionOwner | null {
    return this.#entries.get(partition)?.owner ?? null
  }

  /** True when Redis holds no value of the entity in this partition, so that nobody need ask for it. */
  isAbsent(partition: number, entity: number): boolean {
    return this.#entries.get(partition)?.absent.has(entity) === true
  }

  /** A read has found no value. It may have come meanwhile, unless `owner` stood still or would still have it in memory. */
  noteAbsent(partition: number, owner: PartitionOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner !== owner) return
    if (owner.kept.isIncomplete ? !owner.isFinalised : owner.kept.get(entity) !== undefined) return
    if (entry.absent.size >= ABSENT_MAX) entry.absent.clear()
    entry.absent.add(entity)
  }

  /** `owner` has a value of the entity. */
  notePresent(partition: number, owner: PartitionOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner === owner) entry.absent.delete(entity)
  }
}
