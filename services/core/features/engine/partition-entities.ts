// Entities that a transaction shares with others, as seen by one partition: it reads the partial aggregates of all
// partitions and changes its own.

import { prefetch } from '../state/prefetch.ts'
import { entityRefOf, entityRefOfLabel, type CardEvent } from '../state/card-event.ts'
import type { Frontier, EntityLabel, EntityPart } from '../state/entity-part.ts'
import type { EntityAggregates } from './entity-aggregates.ts'
import { ENTITY_KINDS, type EntityKind } from '../catalogue/feature-definition.ts'
import type { PlanAggregates } from './feature-plan.ts'
import type { Faults } from './feature-states.ts'
import type { PartitionState, ReadablePart } from './fold-state.ts'
import type { Label } from '../../transaction.ts'

/** A kind of entity that the plan uses. */
interface ReadKind {
  readonly kind: EntityKind
  readonly aggregates: EntityAggregates
  /** This partition's part of the entity that was read last; null if there was none, or not all of it was readable. */
  part: EntityPart | null
  /** The same for the prepared events, and the parts of the other partitions. */
  readonly aheadOwn: (EntityPart | null)[]
  readonly aheadOthers: (readonly ReadablePart[] | null)[]
}

export class PartitionEntities {
  readonly #kinds: readonly ReadKind[]
  readonly #group: EntityPart[] = []

  constructor({ entities }: PlanAggregates) {
    this.#kinds = ENTITY_KINDS.flatMap((kind) => {
      const aggregates = entities[kind]
      return aggregates === null
        ? []
        : [{ kind, aggregates, part: null, aheadOwn: [], aheadOthers: [] }]
    })
  }

  /** True if a window of the entities read last may not be exact. */
  get isApproximate(): boolean {
    for (const { aggregates } of this.#kinds) if (aggregates.isApproximate) return true
    return false
  }

  /** Resets the aggregates for a transaction whose state is unreadable. */
  reset(timeMs: number): void {
    for (const { aggregates } of this.#kinds) aggregates.begin(timeMs)
  }

  /** Looks up the entities of the first `count` events and prefetches them: see look-ahead.ts. Hot path. */
  prepare(events: readonly CardEvent[], count: number, state: PartitionState): void {
    const group = this.#group
    for (const { kind, aheadOwn, aheadOthers } of this.#kinds) {
      let size = 0
      for (let index = 0; index < count; index += 1) {
        const event = events[index]
        const ref = event === undefined ? 0 : entityRefOf(event, kind)
        const others = ref === 0 ? null : state.otherEntities(kind, ref)
        const own = others === null ? null : state.ownEntity(kind, ref)
        aheadOthers[index] = others
        aheadOwn[index] = own
        if (others === null || own === null) continue
        group[size] = own
        size += 1
        for (const { part } of others) {
          group[size] = part
          size += 1
        }
      }
      prefetch(group, size)
    }
  }

  /**
   * Reads the transaction's entities within their frontiers and notes which are unreadable. `ahead` is the index of the
   * event that `prepare` was called with, or -1 to look them up now. Hot path.
   */
  read(
    event: CardEvent,
    ownFrontier: Frontier,
    state: PartitionState,
    faults: Faults,
    ahead: number,
  ): void {
    for (const read of this.#kinds) {
      const { kind, aggregates } = read
      const ref = entityRefOf(event, kind)
      const others = ref === 0 ? null : othersOf(read, ref, state, ahead)
      faults.degradedEntities[kind] = ref !== 0 && others === null
      read.part = others === null ? null : ownOf(read, ref, state, ahead)
      aggregates.begin(event.timeMs)
      if (others === null || read.part === null) continue
      aggregates.add(read.part, ownFrontier)
      for (const { part, frontier } of others) aggregates.add(part, frontier)
      aggregates.finish()
    }
  }

  /** Adds a transaction to its entities; `isReadLast` is true if no other was read since. Hot path. */
  insert(event: CardEvent, state: PartitionState, isReadLast: boolean): void {
    for (const { kind, part } of this.#kinds) {
      const ref = entityRefOf(event, kind)
      if (ref === 0) continue
      const own = isReadLast && part !== null ? part : state.ownEntity(kind, ref)
      own.insert(event.timeMs, event.offset, event.idHash, event.cardHash)
    }
  }

  insertLabel(label: Label, entry: EntityLabel, state: PartitionState): void {
    for (const { kind } of this.#kinds) {
      const ref = entityRefOfLabel(label, kind)
      if (ref !== 0) state.ownEntity(kind, ref).insertLabel(entry)
    }
  }
}

function othersOf(
  { kind, aheadOthers }: ReadKind,
  ref: number,
  state: PartitionState,
  ahead: number,
): readonly ReadablePart[] | null {
  return ahead < 0 ? state.otherEntities(kind, ref) : (aheadOthers[ahead] ?? null)
}

function ownOf(
  { kind, aheadOwn }: ReadKind,
  ref: number,
  state: PartitionState,
  ahead: number,
): EntityPart | null {
  return ahead < 0 ? state.ownEntity(kind, ref) : (aheadOwn[ahead] ?? null)
}
