// Parts of shared entities that other lanes have written, as a micro-batch of this lane reads them: each within its
// lane's progress. Those of lanes of this process are taken from memory, if Redis holds the state that they come from;
// others are decoded again only where the bytes have changed.

import { isSluiceError } from '../../core/errors.ts'
import { EntityPart } from '../../core/features/entity-part.ts'
import type { ReadablePart } from '../../core/features/fold-state.ts'
import { decodeProgress, type LaneProgress } from '../../core/stream/lane-progress.ts'
import type { DamageNote } from './damage-note.ts'
import { entityName, type LaneKeys } from './keys.ts'
import type { LaneOwner, LaneOwners } from './lane-owners.ts'
import { type StateCodec, weightOf } from './state-codec.ts'
import type { KeptValues } from './value-cache.ts'

/** What the parts are read with. */
export interface ForeignShared {
  readonly keys: readonly LaneKeys[]
  readonly codec: StateCodec
  /** What was read of lanes of other processes, by key. */
  readonly kept: KeptValues
  /** Generation of each lane as last read. */
  readonly generations: number[]
  readonly owners: LaneOwners
}

/** A value that cannot be read, and where its owner looks for word of it. */
export interface DamagedPart {
  readonly noteKey: string
  readonly note: DamageNote
}

export interface ForeignReading {
  /** False when a lane keeps its state under other keys by now, or is elsewhere than this process believes. */
  readonly isCurrent: boolean
  readonly progress: readonly (LaneProgress | null)[]
  /** By entity key; null where a part cannot be read. */
  readonly others: Map<number, readonly ReadablePart[] | null>
  /** One of the parts that cannot be read; null when all can. */
  readonly damaged: DamagedPart | null
}

/** What a batch needs of other lanes: from Redis, and from memory. */
interface Wanted {
  readonly asked: {
    readonly partition: number
    readonly entity: number
    readonly key: string
    readonly owner: LaneOwner | null
  }[]
  readonly known: {
    readonly partition: number
    readonly entity: number
    readonly part: EntityPart
  }[]
  /** Lanes of which nothing is asked that is in memory. */
  readonly owners: { readonly partition: number; readonly owner: LaneOwner }[]
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
   * what Redis holds then, since a lane's later writes come after that on the same connection. `fromMemory` false asks
   * Redis for everything, whatever lanes of this process know.
   */
  plan(
    entities: readonly number[],
    fromMemory: boolean,
  ): {
    readonly keys: readonly string[]
    take(values: readonly (Buffer | null)[]): ForeignReading
  } {
    const { keys: lanes, owners } = this.#shared
    const generations = [...this.#shared.generations]
    const names: string[] = []
    const wanted: Wanted = { asked: [], known: [], owners: [] }
    for (const [partition, lane] of lanes.entries()) {
      if (partition === this.#partition) continue
      const generation = generations[partition] ?? 0
      const standing = fromMemory ? owners.of(partition) : null
      const owner = standing?.generation === generation ? standing : null
      if (owner !== null) wanted.owners.push({ partition, owner })
      for (const [index, entity] of entities.entries()) {
        if (owner !== null && owners.isAbsent(partition, entity)) continue
        const part = owner?.kept.get(entity)
        if (part instanceof EntityPart) {
          wanted.known.push({ partition, entity, part })
          continue
        }
        const name = (names[index] ??= entityName(entity))
        wanted.asked.push({ partition, entity, key: lane.entity(generation, name), owner })
      }
    }
    return {
      keys: [...lanes.map(({ progress }) => progress), ...wanted.asked.map(({ key }) => key)],
      take: (values) => {
        const texts = lanes.map((_, lane) => values[lane]?.toString() ?? '')
        const read = texts.map(decodeProgress)
        const isCurrent =
          this.#learn(read, generations) &&
          wanted.owners.every(({ partition, owner }) => owner.holds(texts[partition] ?? ''))
        // A lane that has moved says nothing now, as one that has not come far enough.
        const progress = read.map((lane, partition) =>
          partition === this.#partition || lane?.generation === generations[partition]
            ? lane
            : null,
        )
        const found = values.slice(lanes.length)
        if (isCurrent) this.#noteAbsent(wanted, found)
        return { isCurrent, progress, ...this.#take(wanted, found, progress) }
      },
    }
  }

  /** Notes where the lanes keep their state; true when what was read of all of them is the current one. */
  #learn(read: readonly (LaneProgress | null)[], generations: readonly number[]): boolean {
    let isCurrent = true
    for (const [partition, lane] of read.entries()) {
      if (partition === this.#partition || lane === null) continue
      if (lane.generation !== generations[partition]) isCurrent = false
      this.#shared.generations[partition] = lane.generation
    }
    return isCurrent
  }

  /** Lanes stand where they stood when Redis was asked, or have a write on its way and are left out. */
  #noteAbsent({ asked }: Wanted, values: readonly (Buffer | null)[]): void {
    for (const [index, { partition, entity, owner }] of asked.entries()) {
      if (owner === null || (values[index] ?? null) !== null) continue
      this.#shared.owners.noteAbsent(partition, owner, entity)
    }
  }

  #take(
    { asked, known }: Wanted,
    values: readonly (Buffer | null)[],
    progress: readonly (LaneProgress | null)[],
  ): Pick<ForeignReading, 'others' | 'damaged'> {
    const others = new Map<number, ReadablePart[] | null>()
    let damaged: DamagedPart | null = null
    const add = (entity: number, part: EntityPart, cut: LaneProgress): void => {
      const parts = others.get(entity)
      if (parts === undefined) others.set(entity, [{ part, cut }])
      else parts?.push({ part, cut })
    }
    for (const { partition, entity, part } of known) {
      const cut = progress[partition] ?? null
      if (cut !== null) add(entity, part, cut)
    }
    for (const [index, { partition, entity, key }] of asked.entries()) {
      const bytes = values[index] ?? null
      const cut = progress[partition] ?? null
      if (bytes === null || cut === null) continue
      const part = this.#partOf(key, bytes)
      if (part === null) {
        const noteKey = this.#shared.keys[partition]?.damage ?? ''
        damaged = { noteKey, note: { generation: cut.generation, key } }
        others.set(entity, null)
        continue
      }
      add(entity, part, cut)
    }
    return { others, damaged }
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
      kept.put(key, { bytes: Buffer.from(bytes), part }, weightOf(part))
      return part
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_STATE_CORRUPT')) return null
      throw error
    }
  }
}
