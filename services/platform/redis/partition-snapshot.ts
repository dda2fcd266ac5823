// The values that one micro-batch folds into. It remembers which were asked for: those are written back.

import type { CardHistory } from '../../core/features/state/card-history.ts'
import type { Cut, EntityPart } from '../../core/features/state/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../../core/features/catalogue/feature-definition.ts'
import type { ReadablePart } from '../../core/features/engine/fold-state.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { PartitionSnapshot } from './partition-store-contract.ts'
import type { MessagePages } from './message-pages.ts'
import type { ForeignReading, MutableCut, OtherParts } from './foreign-parts.ts'
import type { HeldValues } from './own-values.ts'

const NO_PARTS: readonly ReadablePart[] = []
const NO_PROGRESS: readonly (PartitionProgress | null)[] = []

export interface SnapshotContent {
  readonly cards: HeldValues<string, CardHistory>
  /** The parts of this partition. */
  readonly parts: HeldValues<number, EntityPart>
  /** Of the other partitions, in the order of the parts; null where they are not read. */
  readonly foreign: ForeignReading | null
  readonly messages: MessagePages
}

/** Everything is decoded already: what cannot be read was found before the batch changed anything. */
export class Snapshot implements PartitionSnapshot {
  readonly messages: MessagePages
  readonly cards: HeldValues<string, CardHistory>
  readonly parts: HeldValues<number, EntityPart>
  entityHorizonMs = -Infinity
  readonly #others: OtherParts[]
  /** Null once it can no longer be moved. */
  #foreign: ForeignReading | null
  readonly #cuts: readonly MutableCut[]
  /** The part that was looked up last: a fold asks for the others' parts, then for the own one. */
  #lastKey = -1
  #lastIndex = -1

  readonly progress: readonly (PartitionProgress | null)[]

  constructor({ cards, parts, foreign, messages }: SnapshotContent) {
    this.progress = foreign?.progress ?? NO_PROGRESS
    this.cards = cards
    this.parts = parts
    this.#others = foreign?.others ?? []
    this.#cuts = foreign?.cuts ?? []
    this.#foreign = foreign
    this.messages = messages
  }

  /** The batch is folded now: it sees what the other partitions of this process have folded. */
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

  /** Null also for an entity that was not read: what is not known is never "no activity". Hot path. */
  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null {
    const index = this.#find(entityKeyOf(kind, ref))
    if (index < 0) return null
    const others = this.#others[index]
    return others === undefined ? NO_PARTS : others
  }

  /** Adds the entities read here to a snapshot that was read before for the same batch, within that one's cut. */
  giveTo(first: Snapshot): void {
    first.#foreign = null
    for (let index = 0; index < this.parts.size; index += 1) {
      const id = this.parts.idAt(index)
      // What the first reading saw stands.
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

  /** The cut that the first snapshot had of the partition whose cut is this one by now. */
  #frontierOf(first: Snapshot, frontier: Cut): Cut | null {
    const partition = this.#cuts.findIndex((cut) => cut === frontier)
    return (first.progress[partition] ?? null) === null ? null : (first.#cuts[partition] ?? null)
  }
}

function isEmpty(history: CardHistory): boolean {
  return history.count === 0 && history.buckets.length === 0
}
