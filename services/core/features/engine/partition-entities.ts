// The entities that a transaction shares with others, as one partition sees them: parts of all partitions are read, its own are
// changed.

import { prefetch } from '../state/prefetch.ts'
import { entityRefOf, entityRefOfLabel, type CardEvent } from '../state/card-event.ts'
import type { Cut, EntityLabel, EntityPart } from '../state/entity-part.ts'
import type { EntityAggregates } from './entity-aggregates.ts'
import { ENTITY_KINDS, type EntityKind } from '../catalogue/feature-definition.ts'
import type { Readings } from './feature-plan.ts'
import type { Faults } from './feature-states.ts'
import type { PartitionState, ReadablePart } from './fold-state.ts'
import type { Label } from '../../transaction.ts'

/** A kind of entity that the plan looks at. */
interface ReadKind {
  readonly kind: EntityKind
  readonly reading: EntityAggregates
  /** This partition's part of the entity that was read last; null when there was none, or not all of it could be read. */
  part: EntityPart | null
  /** The same of the events that come next, and the parts of the other partitions. */
  readonly aheadOwn: (EntityPart | null)[]
  readonly aheadOthers: (readonly ReadablePart[] | null)[]
}

export class PartitionEntities {
  readonly #kinds: readonly ReadKind[]
  readonly #near: EntityPart[] = []

  constructor({ entities }: Readings) {
    this.#kinds = ENTITY_KINDS.flatMap((kind) => {
      const reading = entities[kind]
      return reading === null ? [] : [{ kind, reading, part: null, aheadOwn: [], aheadOthers: [] }]
    })
  }

  /** True when some window of the entities read last may not be exact. */
  get isApproximate(): boolean {
    for (const { reading } of this.#kinds) if (reading.isApproximate) return true
    return false
  }

  /** Readings of no events, for a transaction whose state cannot be read. */
  readNothing(timeMs: number): void {
    for (const { reading } of this.#kinds) reading.begin(timeMs)
  }

  /** Finds the entities of the first `count` events, and brings them near: see look-ahead.ts. Hot path. */
  look(events: readonly CardEvent[], count: number, state: PartitionState): void {
    const near = this.#near
    for (const { kind, aheadOwn, aheadOthers } of this.#kinds) {
      let nearCount = 0
      for (let place = 0; place < count; place += 1) {
        const event = events[place]
        const ref = event === undefined ? 0 : entityRefOf(event, kind)
        const others = ref === 0 ? null : state.otherEntities(kind, ref)
        const own = others === null ? null : state.ownEntity(kind, ref)
        aheadOthers[place] = others
        aheadOwn[place] = own
        if (others === null || own === null) continue
        near[nearCount] = own
        nearCount += 1
        for (const { part } of others) {
          near[nearCount] = part
          nearCount += 1
        }
      }
      prefetch(near, nearCount)
    }
  }

  /**
   * Reads what the transaction's entities hold within the cuts; notes which of them cannot be read. `ahead` is the place
   * of its event when `look` found them, -1 when they are to be found now. Hot path.
   */
  read(
    event: CardEvent,
    ownFrontier: Cut,
    state: PartitionState,
    faults: Faults,
    ahead: number,
  ): void {
    for (const read of this.#kinds) {
      const { kind, reading } = read
      const ref = entityRefOf(event, kind)
      const others = ref === 0 ? null : othersOf(read, ref, state, ahead)
      faults.degradedEntities[kind] = ref !== 0 && others === null
      read.part = others === null ? null : ownOf(read, ref, state, ahead)
      reading.begin(event.timeMs)
      if (others === null || read.part === null) continue
      reading.add(read.part, ownFrontier)
      for (const { part, frontier } of others) reading.add(part, frontier)
      reading.finish()
    }
  }

  /** Adds a transaction to its entities; `isReadLast` when no other was read since. Hot path. */
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
