// Partitions that this process owns. Their partial aggregates are in memory, so other partitions of the process need
// not read them from Redis. These verify, by the progress that they read with every batch, that Redis has the same
// state, and see everything that the partition has folded by the time they fold.

import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { CachedValues } from './value-cache.ts'

/** A session as seen by other partitions of the process. */
export interface PartitionOwner {
  readonly generation: number
  /** Cached partial aggregates of entities, by key. */
  readonly kept: Pick<CachedValues, 'get' | 'isIncomplete'>
  /** End of the batches that are folded into the cached values; null during a fold. */
  readonly folded: PartitionProgress | null
  /** False while a write is in flight. */
  readonly isQuiescent: boolean
  /**
   * Whether memory has everything that the state with this progress has. It may have more, which is outside the
   * frontier.
   */
  holds(progressText: string): boolean
}

/**
 * Maximum recorded entities without a value, per partition; beyond it the record is cleared, and all are read again.
 */
const ABSENT_MAX = 262_144

interface Entry {
  readonly owner: PartitionOwner
  readonly absent: Set<number>
}

export class PartitionOwners {
  readonly #entries = new Map<number, Entry>()

  /** Makes `owner` the session that writes the partition. */
  enter(partition: number, owner: PartitionOwner): void {
    this.#entries.set(partition, { owner, absent: new Set() })
  }

  leave(partition: number, owner: PartitionOwner): void {
    if (this.#entries.get(partition)?.owner === owner) this.#entries.delete(partition)
  }

  /** Returns null if another process owns the partition, or none. */
  of(partition: number): PartitionOwner | null {
    return this.#entries.get(partition)?.owner ?? null
  }

  /** Whether Redis has no value of the entity in this partition, so that it need not be read. */
  isAbsent(partition: number, entity: number): boolean {
    return this.#entries.get(partition)?.absent.has(entity) === true
  }

  /**
   * Records that a read found no value. Ignored if a value may have been written since: unless `owner` has no write in
   * flight, or would still have the value in memory.
   */
  noteAbsent(partition: number, owner: PartitionOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner !== owner) return
    if (owner.kept.isIncomplete ? !owner.isQuiescent : owner.kept.get(entity) !== undefined) return
    if (entry.absent.size >= ABSENT_MAX) entry.absent.clear()
    entry.absent.add(entity)
  }

  /** Records that `owner` has a value of the entity. */
  notePresent(partition: number, owner: PartitionOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner === owner) entry.absent.delete(entity)
  }
}
