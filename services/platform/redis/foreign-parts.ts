// Parts of shared entities that other partitions have written, as a micro-batch of this partition reads them: each within its
// partition's progress, and of partitions of this process within what is folded when the batch is (`seeFolded`). Those of partitions of this process are taken from memory, if Redis holds the state that they come from;
// others are decoded again only where the bytes have changed.

import { isSluiceError } from '../../core/errors.ts'
import { EntityPart, type Cut } from '../../core/features/state/entity-part.ts'
import type { ReadablePart } from '../../core/features/engine/fold-state.ts'
import { decodeProgress, type PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { DamageNote } from './damage-note.ts'
import { entityName, type PartitionKeys } from './keys.ts'
import type { PartitionOwner, PartitionOwners } from './partition-owners.ts'
import type { StateCodec } from './state-codec.ts'
import type { KeptValues } from './value-cache.ts'

/** What the parts are read with. */
export interface ForeignShared {
  readonly keys: readonly PartitionKeys[]
  readonly codec: StateCodec
  /** What was read of partitions of other processes, by key. */
  readonly kept: KeptValues
  /** Generation of each partition as last read. */
  readonly generations: number[]
  readonly owners: PartitionOwners
}

/** A value that cannot be read, and where its owner looks for word of it. */
export interface DamagedPart {
  readonly noteKey: string
  readonly note: DamageNote
}

export interface ForeignReading {
  /** False when a partition keeps its state under other keys by now, or is elsewhere than this process believes. */
  readonly isCurrent: boolean
  readonly progress: (PartitionProgress | null)[]
  /** Per partition, the frontier that its parts are read within. */
  readonly cuts: readonly MutableCut[]
  /** By the place of the entity in the batch. */
  readonly others: OtherParts[]
  /** One of the parts that cannot be read; null when all can. */
  readonly damaged: DamagedPart | null
  /**
   * Moves the frontier of partitions of this process to where they are folded by now, with the parts that have come
   * meanwhile. Partitions that are in the middle of a fold, or do not keep all in memory, stay where they were read.
   */
  seeFolded(): void
}

/** One object for all parts of a partition that are read for a batch. */
export type MutableCut = { -readonly [Name in keyof Cut]: Cut[Name] }

/** What other partitions know of an entity; null where one of their parts cannot be read, undefined for nothing. */
export type OtherParts = ReadablePart[] | null | undefined

/** What a batch needs of another partition. */
interface Wanted {
  readonly partition: number
  /** Where the partition is worked in this process. */
  readonly owner: PartitionOwner | null
  /** From memory, by the place of the entity in the batch. */
  readonly known: (EntityPart | undefined)[]
  /** From Redis. */
  readonly asked: { readonly index: number; readonly key: string }[]
}

interface Kept {
  readonly bytes: Buffer
  readonly part: EntityPart
}

export class ForeignParts {
  readonly #shared: ForeignShared
  readonly #partition: number

  constructor(shared: ForeignShared, partition: number) {
    this.#shared = shared
    this.#partition = partition
  }

  /**
   * The keys to read, and how to take what stands there. They must be asked for at once: what is in memory now holds
   * what Redis holds then, since a partition's later writes come after that on the same connection. `fromMemory` false asks
   * Redis for everything, whatever partitions of this process know.
   */
  plan(
    entities: readonly number[],
    fromMemory: boolean,
  ): {
    readonly keys: readonly string[]
    take(values: readonly (Buffer | null)[]): ForeignReading
  } {
    const { keys: partitions } = this.#shared
    const generations = [...this.#shared.generations]
    const names: string[] = []
    const wanted: Wanted[] = []
    for (const [partition, other] of partitions.entries()) {
      if (partition === this.#partition) continue
      const generation = generations[partition] ?? 0
      const keyOf = (index: number, id: number): string =>
        other.entity(generation, (names[index] ??= entityName(id)))
      wanted.push(this.#wantedOf(partition, generation, entities, fromMemory, keyOf))
    }
    return {
      keys: [
        ...partitions.map(({ progress }) => progress),
        ...wanted.flatMap(({ asked }) => asked.map(({ key }) => key)),
      ],
      take: (values) => {
        const texts = partitions.map((_, other) => values[other]?.toString() ?? '')
        const read = texts.map(decodeProgress)
        const isCurrent =
          this.#learn(read, generations) &&
          wanted.every(({ partition, owner }) => owner?.holds(texts[partition] ?? '') !== false)
        // A partition that has moved says nothing now, as one that has not come far enough.
        const progress = read.map((other, partition) =>
          partition === this.#partition || other?.generation === generations[partition]
            ? other
            : null,
        )
        const found = values.slice(partitions.length)
        if (isCurrent) this.#noteAbsent(wanted, entities, found)
        const cuts = progress.map((other) => ({
          nextOffset: other?.nextOffset ?? 0,
          labelNextOffset: other?.labelNextOffset ?? 0,
        }))
        const reading = {
          progress,
          cuts,
          ...this.#take(wanted, entities.length, found, progress, cuts),
        }
        return {
          ...reading,
          isCurrent,
          seeFolded: () => {
            for (const each of wanted) this.#seeFolded(each, entities, reading)
          },
        }
      },
    }
  }

  /** Hot path. */
  #wantedOf(
    partition: number,
    generation: number,
    entities: readonly number[],
    fromMemory: boolean,
    keyOf: (index: number, id: number) => string,
  ): Wanted {
    const { owners } = this.#shared
    const standing = fromMemory ? owners.of(partition) : null
    const owner = standing?.generation === generation ? standing : null
    const wanted: Wanted = { partition, owner, known: [], asked: [] }
    for (let index = 0; index < entities.length; index += 1) {
      const id = entities[index] ?? 0
      const part = owner?.kept.get(id)
      wanted.known.push(part instanceof EntityPart ? part : undefined)
      if (part instanceof EntityPart) continue
      if (owner !== null && owners.isAbsent(partition, id)) continue
      wanted.asked.push({ index, key: keyOf(index, id) })
    }
    return wanted
  }

  /** Notes where the partitions keep their state; true when what was read of all of them is the current one. */
  #learn(read: readonly (PartitionProgress | null)[], generations: readonly number[]): boolean {
    let isCurrent = true
    for (const [partition, other] of read.entries()) {
      if (partition === this.#partition || other === null) continue
      if (other.generation !== generations[partition]) isCurrent = false
      this.#shared.generations[partition] = other.generation
    }
    return isCurrent
  }

  /** Partitions stand where they stood when Redis was asked, or have a write on its way and are left out. */
  #noteAbsent(
    wanted: readonly Wanted[],
    entities: readonly number[],
    values: readonly (Buffer | null)[],
  ): void {
    let at = 0
    for (const { partition, owner, asked } of wanted) {
      for (const { index } of asked) {
        const isAbsent = (values[at] ?? null) === null
        at += 1
        if (owner === null || !isAbsent) continue
        this.#shared.owners.noteAbsent(partition, owner, entities[index] ?? 0)
      }
    }
  }

  #take(
    wanted: readonly Wanted[],
    entityCount: number,
    values: readonly (Buffer | null)[],
    progress: readonly (PartitionProgress | null)[],
    cuts: readonly MutableCut[],
  ): Pick<ForeignReading, 'others' | 'damaged'> {
    const others = Array.from({ length: entityCount }, (): OtherParts => undefined)
    let damaged: DamagedPart | null = null
    let at = 0
    for (const { partition, known, asked } of wanted) {
      const standing = progress[partition] ?? null
      const frontier = cuts[partition]
      const isSeen = standing !== null && frontier !== undefined
      for (let index = 0; index < known.length && isSeen; index += 1) {
        const part = known[index]
        if (part !== undefined) addPart(others, index, { part, frontier })
      }
      for (const { index, key } of asked) {
        const bytes = values[at] ?? null
        at += 1
        if (bytes === null || !isSeen) continue
        const part = this.#partOf(key, bytes)
        if (part !== null) {
          addPart(others, index, { part, frontier })
          continue
        }
        const noteKey = this.#shared.keys[partition]?.damage ?? ''
        damaged = { noteKey, note: { generation: standing.generation, key } }
        others[index] = null
      }
    }
    return { others, damaged }
  }

  #seeFolded(
    { partition, owner, known }: Wanted,
    entities: readonly number[],
    { progress, cuts, others }: Pick<ForeignReading, 'progress' | 'cuts' | 'others'>,
  ): void {
    const [cut, standing] = [cuts[partition], progress[partition] ?? null]
    if (owner === null || standing === null || cut === undefined) return
    if (this.#shared.owners.of(partition) !== owner || owner.kept.isIncomplete) return
    const { folded } = owner
    if (folded === null || folded.nextOffset < standing.nextOffset) return
    for (let index = 0; index < entities.length; index += 1) {
      if (known[index] !== undefined) continue
      const part = owner.kept.get(entities[index] ?? 0)
      if (part instanceof EntityPart) replacePart(others, index, { part, frontier: cut })
    }
    cut.nextOffset = folded.nextOffset
    cut.labelNextOffset = folded.labelNextOffset
    progress[partition] = folded
  }

  /** Forgets what was read. */
  close(): void {
    this.#shared.kept.clear()
  }

  /** Null when the bytes cannot be read. */
  #partOf(key: string, bytes: Buffer): EntityPart | null {
    const { kept, codec } = this.#shared
    const known = kept.get(key) as Kept | undefined
    if (known?.bytes.equals(bytes) === true) return known.part
    try {
      const part = codec.decodeEntity(bytes)
      // A copy: what came over the wire is a view of a much larger block.
      kept.put(key, { bytes: Buffer.from(bytes), part }, bytes.length + part.memoryBytes)
      return part
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_STATE_CORRUPT')) return null
      throw error
    }
  }
}

function addPart(others: OtherParts[], index: number, part: ReadablePart): void {
  const parts = others[index]
  if (parts === undefined) others[index] = [part]
  else parts?.push(part)
}

/** In place of what was read of the same partition. */
function replacePart(others: OtherParts[], index: number, part: ReadablePart): void {
  const parts = others[index]
  const place = parts?.findIndex(({ frontier }) => frontier === part.frontier) ?? -1
  if (parts === null || parts === undefined || place < 0) addPart(others, index, part)
  else parts[place] = part
}
