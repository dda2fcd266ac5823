// Values into which one micro-batch is folded. It records which of them were handed out: those are written back.

import type { CardHistory } from '../../core/features/state/card-history.ts'
import type { Frontier, EntityPart } from '../../core/features/state/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../../core/features/catalogue/feature-definition.ts'
import type { ReadablePart } from '../../core/features/engine/fold-state.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { PartitionSnapshot } from './partition-store-contract.ts'
import type { MessagePages } from './message-pages.ts'
import type { ForeignReading, MutableFrontier, OtherParts } from './foreign-parts.ts'
import type { PinnedValues } from './own-values.ts'

const NO_PARTS: readonly ReadablePart[] = []
const NO_PROGRESS: readonly (PartitionProgress | null)[] = []

export interface SnapshotContent {
  readonly cards: PinnedValues<string, CardHistory>
  /** Partial aggregates of this partition. */
  readonly parts: PinnedValues<number, EntityPart>
  /** Partial aggregates of the other partitions, in the order of `parts`; null if they are not read. */
  readonly foreign: ForeignReading | null
  readonly messages: MessagePages
}

/** All values are decoded: an undecodable value was found before the batch changed anything. */
export class Snapshot implements PartitionSnapshot {
  readonly messages: MessagePages
  readonly cards: PinnedValues<string, CardHistory>
  readonly parts: PinnedValues<number, EntityPart>
  entityHorizonMs = -Infinity
  readonly #others: OtherParts[]
  /** Null once the frontier can no longer advance. */
  #foreign: ForeignReading | null
  readonly #frontiers: readonly MutableFrontier[]
  /** The last lookup: a fold needs the others' partial aggregates, then its own. */
  #lastKey = -1
  #lastIndex = -1

  readonly progress: readonly (PartitionProgress | null)[]

  constructor({ cards, parts, foreign, messages }: SnapshotContent) {
    this.progress = foreign?.progress ?? NO_PROGRESS
    this.cards = cards
    this.parts = parts
    this.#others = foreign?.others ?? []
    this.#frontiers = foreign?.frontiers ?? []
    this.#foreign = foreign
    this.messages = messages
  }

  /** Called when the batch is folded: includes what the other partitions of this process have folded. */
  seeFolded(): void {
    this.#foreign?.seeFolded()
  }

  /** Hot path. */
  card(card: string): CardHistory {
    const { cards } = this
    const index = cards.indexOf(card)
    const history = cards.valueAt(index)
    if (history === undefined) throw new RangeError('The card was not read for this batch.')
    cards.noteChanged(index)
    return history
  }

  peekCard(card: string): CardHistory | null {
    const { cards } = this
    const history = cards.valueAt(cards.indexOf(card))
    return history === undefined || isEmpty(history) ? null : history
  }

  /** Hot path. */
  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const { parts } = this
    const index = this.#find(entityKeyOf(kind, ref))
    const part = parts.valueAt(index)
    if (part === undefined) throw new RangeError('The entity was not read for this batch.')
    parts.noteChanged(index)
    return part
  }

  /** Null also for an entity that was not read: unknown is never "no activity". Hot path. */
  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null {
    const index = this.#find(entityKeyOf(kind, ref))
    if (index < 0) return null
    const others = this.#others[index]
    return others === undefined ? NO_PARTS : others
  }

  /** Adds the entities read here to an earlier snapshot of the same batch, within the frontiers of that one. */
  mergeInto(first: Snapshot): void {
    first.#foreign = null
    for (let index = 0; index < this.parts.size; index += 1) {
      const id = this.parts.idAt(index)
      // What the first read saw is kept.
      if (first.parts.indexOf(id) >= 0) continue
      const others = this.#others[index]
      const within = others?.flatMap(({ part, frontier }) => {
        const known = this.#frontierOf(first, frontier)
        return known === null ? [] : [{ part, frontier: known }]
      })
      first.parts.add(id, this.parts.valueAt(index), this.parts.keptAt(index))
      first.#others[first.parts.indexOf(id)] = others === null ? null : within
    }
    first.#lastKey = -1
  }

  #find(key: number): number {
    if (key !== this.#lastKey) {
      this.#lastKey = key
      this.#lastIndex = this.parts.indexOf(key)
    }
    return this.#lastIndex
  }

  /** Frontier of the first snapshot for the partition to which this frontier belongs. */
  #frontierOf(first: Snapshot, frontier: Frontier): Frontier | null {
    const partition = this.#frontiers.findIndex((each) => each === frontier)
    return (first.progress[partition] ?? null) === null
      ? null
      : (first.#frontiers[partition] ?? null)
  }
}

function isEmpty(history: CardHistory): boolean {
  return history.count === 0 && history.buckets.length === 0
}
