// The state that a fold works on, wherever it is kept.

import type { CardHistory } from '../state/card-history.ts'
import type { Cut, EntityPart } from '../state/entity-part.ts'
import type { EntityKind } from '../catalogue/feature-definition.ts'

/** A part of an entity and how much of it may be read. */
export interface ReadablePart {
  readonly part: EntityPart
  readonly frontier: Cut
}

/** Messages of a partition by their offset, so that a decision can be computed again. */
export interface PartitionMessages {
  /** The bytes are copied. Offsets rise from call to call. Hot path. */
  keep(offset: number, eventTimeMs: number, message: Uint8Array): void
  /** A view that holds until the next change; null when it is not kept. */
  find(offset: number): Uint8Array | null
}

/** State as the fold needs it: values of this partition to change, parts of the other partitions to read. */
export interface PartitionState {
  /** Absent where messages are not kept: then no decision is computed again. */
  readonly messages?: PartitionMessages
  card(card: string): CardHistory
  ownEntity(kind: EntityKind, ref: number): EntityPart
  /** Null when what another partition knows cannot be read: then the features of this entity are degraded. */
  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null
  /**
   * Live: transactions before this find other partitions' parts incomplete, since those are far ahead. -Infinity in an
   * aligned replay, where partitions are in step.
   */
  readonly entityHorizonMs: number
}

/** State that can also be looked at without being changed by it. */
export interface CardLookup {
  /** The card as it stands, not to be changed; null when it has no history, or was not read. */
  peekCard(card: string): CardHistory | null
}
