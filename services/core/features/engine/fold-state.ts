// State that a fold reads and changes, independent of where it is stored.

import type { CardHistory } from '../state/card-history.ts'
import type { Frontier, EntityPart } from '../state/entity-part.ts'
import type { EntityKind } from '../catalogue/feature-definition.ts'

/** A partial aggregate of an entity and the frontier up to which it may be read. */
export interface ReadablePart {
  readonly part: EntityPart
  readonly frontier: Frontier
}

/** Messages of a partition by offset, so that decisions can be recomputed. */
export interface PartitionMessages {
  /** Copies the bytes. Offsets rise from call to call. Hot path. */
  keep(offset: number, eventTimeMs: number, message: Uint8Array): void
  /** Returns a view that is valid until the next change; null if the message is not stored. */
  find(offset: number): Uint8Array | null
}

/** State as the fold needs it: values of this partition to change, partial aggregates of other partitions to read. */
export interface PartitionState {
  /** Absent if messages are not stored: decisions are then not recomputed. */
  readonly messages?: PartitionMessages
  card(card: string): CardHistory
  ownEntity(kind: EntityKind, ref: number): EntityPart
  /**
   * Returns null if partial aggregates of other partitions are unreadable: the features of this entity are then
   * degraded.
   */
  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null
  /**
   * Live: for transactions before this, other partitions' partial aggregates are incomplete, since those partitions are
   * far ahead. -Infinity in an aligned replay, where partitions advance together.
   */
  readonly entityHorizonMs: number
}

/** State that can be read without changing it. */
export interface CardLookup {
  /** The card's current history, which must not be changed; null if the card has none or was not loaded. */
  peekCard(card: string): CardHistory | null
}
