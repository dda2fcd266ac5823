// Remote partial aggregates: those of shared entities that other partitions wrote, as a micro-batch of this partition
// reads them. Each is read within its partition's progress. For a partition of this process the limit is what that
// partition has folded when the batch is folded (`seeFolded`). Partial aggregates of partitions of this process come
// from memory, if Redis has the state that they belong to. Others are decoded again only if their bytes have changed.

import { isSluiceError } from '../../core/errors.ts'
import { EntityPart, type Frontier } from '../../core/features/state/entity-part.ts'
import type { ReadablePart } from '../../core/features/engine/fold-state.ts'
import { decodeProgress, type PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { DamageNote } from './damage-note.ts'
import { entityName, type PartitionKeys } from './keys.ts'
import type { PartitionOwner, PartitionOwners } from './partition-owners.ts'
import type { StateCodec } from './state-codec.ts'
import type { CachedValues } from './value-cache.ts'

/** Dependencies of ForeignParts. */
export interface ForeignShared {
  readonly keys: readonly PartitionKeys[]
  readonly codec: StateCodec
  /** Decoded values of partitions of other processes, by key. */
  readonly kept: CachedValues
  /** Generation of each partition as last read. */
  readonly generations: number[]
  readonly owners: PartitionOwners
}

/** A value that cannot be decoded, and the key under which its owner looks for a note. */
export interface DamagedPart {
  readonly noteKey: string
  readonly note: DamageNote
}

export interface ForeignReading {
  /** False if a partition has moved its state to other keys, or to another process than this one assumes. */
  readonly isCurrent: boolean
  readonly progress: (PartitionProgress | null)[]
  /** Per partition, the frontier within which its partial aggregates are read. */
  readonly frontiers: readonly MutableFrontier[]
  /** By index of the entity in the batch. */
  readonly others: OtherParts[]
  /** One of the undecodable values; null if there is none. */
  readonly damaged: DamagedPart | null
  /**
   * Advances the frontier of each partition of this process to what it has folded, and adds the partial aggregates
   * created since the read. A partition stays at its frontier if it is in the middle of a fold, or does not have all
   * its values in memory.
   */
  seeFolded(): void
}

/** Shared by all partial aggregates of a partition in one batch. */
export type MutableFrontier = { -readonly [Name in keyof Frontier]: Frontier[Name] }

/**
 * Partial aggregates of an entity in other partitions; null if one of them cannot be decoded, undefined if there is
 * none.
 */
export type OtherParts = ReadablePart[] | null | undefined

/** Input that a batch needs from another partition. */
interface Wanted {
  readonly partition: number
  /** Session of the partition in this process; null if another process owns it. */
  readonly owner: PartitionOwner | null
  /** From memory, by index of the entity in the batch. */
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
   * Returns the keys to read, and a function that accepts their values. The keys must be requested at once: Redis then
   * has the values that are in memory now, since later writes of a partition follow on the same connection. If
   * `fromMemory` is false, everything is read from Redis, even for partitions of this process.
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
          this.#noteGenerations(read, generations) &&
          wanted.every(({ partition, owner }) => owner?.holds(texts[partition] ?? '') !== false)
        // A partition that has moved counts as having no progress.
        const progress = read.map((other, partition) =>
          partition === this.#partition || other?.generation === generations[partition]
            ? other
            : null,
        )
        const found = values.slice(partitions.length)
        if (isCurrent) this.#noteAbsent(wanted, entities, found)
        const frontiers = progress.map((other) => ({
          nextOffset: other?.nextOffset ?? 0,
          labelNextOffset: other?.labelNextOffset ?? 0,
        }))
        const reading = {
          progress,
          frontiers,
          ...this.#take(wanted, entities.length, found, progress, frontiers),
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
    const candidate = fromMemory ? owners.of(partition) : null
    const owner = candidate?.generation === generation ? candidate : null
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

  /** Records the generations of the partitions. Returns true if all values were read from current generations. */
  #noteGenerations(
    read: readonly (PartitionProgress | null)[],
    generations: readonly number[],
  ): boolean {
    let isCurrent = true
    for (const [partition, other] of read.entries()) {
      if (partition === this.#partition || other === null) continue
      if (other.generation !== generations[partition]) isCurrent = false
      this.#shared.generations[partition] = other.generation
    }
    return isCurrent
  }

  /**
   * Records the entities without a value. A partition has not changed since the read, or has a write in flight and is
   * skipped.
   */
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
    frontiers: readonly MutableFrontier[],
  ): Pick<ForeignReading, 'others' | 'damaged'> {
    const others = Array.from({ length: entityCount }, (): OtherParts => undefined)
    let damaged: DamagedPart | null = null
    let at = 0
    for (const { partition, known, asked } of wanted) {
      const read = progress[partition] ?? null
      const frontier = frontiers[partition]
      const isReadable = read !== null && frontier !== undefined
      for (let index = 0; index < known.length && isReadable; index += 1) {
        const part = known[index]
        if (part !== undefined) addPart(others, index, { part, frontier })
      }
      for (const { index, key } of asked) {
        const bytes = values[at] ?? null
        at += 1
        if (bytes === null || !isReadable) continue
        const part = this.#partOf(key, bytes)
        if (part !== null) {
          addPart(others, index, { part, frontier })
          continue
        }
        const noteKey = this.#shared.keys[partition]?.damage ?? ''
        damaged = { noteKey, note: { generation: read.generation, key } }
        others[index] = null
      }
    }
    return { others, damaged }
  }

  #seeFolded(
    { partition, owner, known }: Wanted,
    entities: readonly number[],
    { progress, frontiers, others }: Pick<ForeignReading, 'progress' | 'frontiers' | 'others'>,
  ): void {
    const [frontier, read] = [frontiers[partition], progress[partition] ?? null]
    if (owner === null || read === null || frontier === undefined) return
    if (this.#shared.owners.of(partition) !== owner || owner.kept.isIncomplete) return
    const { folded } = owner
    if (folded === null || folded.nextOffset < read.nextOffset) return
    for (let index = 0; index < entities.length; index += 1) {
      if (known[index] !== undefined) continue
      const part = owner.kept.get(entities[index] ?? 0)
      if (part instanceof EntityPart) replacePart(others, index, { part, frontier })
    }
    frontier.nextOffset = folded.nextOffset
    frontier.labelNextOffset = folded.labelNextOffset
    progress[partition] = folded
  }

  /** Discards everything that was read. */
  close(): void {
    this.#shared.kept.clear()
  }

  /** Returns null if the bytes cannot be decoded. */
  #partOf(key: string, bytes: Buffer): EntityPart | null {
    const { kept, codec } = this.#shared
    const known = kept.get(key) as Kept | undefined
    if (known?.bytes.equals(bytes) === true) return known.part
    try {
      const part = codec.decodeEntity(bytes)
      // Copied, since the received bytes are a view of a much larger buffer.
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

/** Replaces what was read of the same partition. */
function replacePart(others: OtherParts[], index: number, part: ReadablePart): void {
  const parts = others[index]
  const place = parts?.findIndex(({ frontier }) => frontier === part.frontier) ?? -1
  if (parts === null || parts === undefined || place < 0) addPart(others, index, part)
  else parts[place] = part
}
