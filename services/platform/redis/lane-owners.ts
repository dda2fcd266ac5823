// The lanes that this process works itself. What such a lane knows of entities is in memory, so the others need not ask
// Redis for it: they only make sure, by the progress that they read with every batch, that Redis holds the same state.

import type { KeptValues } from './value-cache.ts'

/** A session as other lanes of the process see it. */
export interface LaneOwner {
  readonly generation: number
  /** What it keeps in memory of entities, by key. */
  readonly kept: Pick<KeptValues, 'get'>
  /** False while a write is on its way. */
  readonly isSettled: boolean
  /**
   * True when what is in memory holds all that the state with this progress holds; it may hold more, which lies outside
   * of the cut.
   */
  holds(progressText: string): boolean
}

/** Entities that are known to have no value, per lane; beyond this many all are asked for again. */
const ABSENT_MAX = 262_144

interface Entry {
  readonly owner: LaneOwner
  readonly absent: Set<number>
}

export class LaneOwners {
  readonly #entries = new Map<number, Entry>()

  /** From now on `owner` is the one that writes the lane. */
  enter(partition: number, owner: LaneOwner): void {
    this.#entries.set(partition, { owner, absent: new Set() })
  }

  leave(partition: number, owner: LaneOwner): void {
    if (this.#entries.get(partition)?.owner === owner) this.#entries.delete(partition)
  }

  /** Null when another process has the lane, or nobody. */
  of(partition: number): LaneOwner | null {
    return this.#entries.get(partition)?.owner ?? null
  }

  /** True when Redis holds no value of the entity in this lane, so that nobody need ask for it. */
  isAbsent(partition: number, entity: number): boolean {
    return this.#entries.get(partition)?.absent.has(entity) === true
  }

  /** A read has found no value while `owner` stood still. */
  noteAbsent(partition: number, owner: LaneOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner !== owner || !owner.isSettled) return
    if (entry.absent.size >= ABSENT_MAX) entry.absent.clear()
    entry.absent.add(entity)
  }

  /** `owner` writes a value of the entity. */
  notePresent(partition: number, owner: LaneOwner, entity: number): void {
    const entry = this.#entries.get(partition)
    if (entry?.owner === owner) entry.absent.delete(entity)
  }
}
