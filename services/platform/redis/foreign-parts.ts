// Parts of shared entities that other lanes have written, as a micro-batch of this lane reads them: each within its
// lane's progress, and decoded again only where the bytes have changed.

import { isSluiceError } from '../../core/errors.ts'
import type { EntityPart } from '../../core/features/entity-part.ts'
import type { ReadablePart } from '../../core/features/lane-fold.ts'
import { decodeProgress, type LaneProgress } from '../../core/stream/lane-progress.ts'
import type { DamageNote } from './damage-note.ts'
import { entityName, type LaneKeys } from './keys.ts'
import { type StateCodec, weightOf } from './state-codec.ts'
import type { ValueCache } from './value-cache.ts'

/** What the parts are read with. */
export interface ForeignShared {
  readonly keys: readonly LaneKeys[]
  readonly codec: StateCodec
  readonly cache: ValueCache
  /** Generation of each lane as last read. */
  readonly generations: number[]
}

/** A value that cannot be read, and where its owner looks for word of it. */
export interface DamagedPart {
  readonly noteKey: string
  readonly note: DamageNote
}

export interface ForeignReading {
  /** False when a lane keeps its state under other keys by now. */
  readonly isCurrent: boolean
  readonly progress: readonly (LaneProgress | null)[]
  /** By entity key; null where a part cannot be read. */
  readonly others: Map<number, readonly ReadablePart[] | null>
  /** One of the parts that cannot be read; null when all can. */
  readonly damaged: DamagedPart | null
}

interface Kept {
  readonly bytes: Buffer
  readonly part: EntityPart
}

export class ForeignParts {
  readonly #owner: object
  readonly #shared: ForeignShared
  readonly #partition: number

  /** `owner` is the session whose cached values they are. */
  constructor(owner: object, shared: ForeignShared, partition: number) {
    this.#owner = owner
    this.#shared = shared
    this.#partition = partition
  }

  /** The keys to read, and how to take what stands there. */
  plan(entities: readonly number[]): {
    readonly keys: readonly string[]
    take(values: readonly (Buffer | null)[]): ForeignReading
  } {
    const { keys: lanes } = this.#shared
    const generations = [...this.#shared.generations]
    const names = entities.map(entityName)
    const parts = lanes.flatMap((lane, partition) =>
      partition === this.#partition
        ? []
        : entities.map((entity, index) => {
            const generation = generations[partition] ?? 0
            return { partition, entity, key: lane.entity(generation, names[index] ?? '') }
          }),
    )
    return {
      keys: [...lanes.map(({ progress }) => progress), ...parts.map(({ key }) => key)],
      take: (values) => {
        const read = lanes.map((_, lane) => decodeProgress(values[lane]?.toString() ?? null))
        const isCurrent = this.#learn(read, generations)
        // A lane that has moved says nothing now, as one that has not come far enough.
        const progress = read.map((lane, partition) =>
          partition === this.#partition || lane?.generation === generations[partition]
            ? lane
            : null,
        )
        return { isCurrent, progress, ...this.#take(parts, values.slice(lanes.length), progress) }
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

  #take(
    parts: readonly {
      readonly partition: number
      readonly entity: number
      readonly key: string
    }[],
    values: readonly (Buffer | null)[],
    progress: readonly (LaneProgress | null)[],
  ): Pick<ForeignReading, 'others' | 'damaged'> {
    const others = new Map<number, ReadablePart[] | null>()
    let damaged: DamagedPart | null = null
    for (const [index, { partition, entity, key }] of parts.entries()) {
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
      const known = others.get(entity)
      if (known === undefined) others.set(entity, [{ part, cut }])
      else known?.push({ part, cut })
    }
    return { others, damaged }
  }

  /** Null when the bytes cannot be read. */
  #partOf(key: string, bytes: Buffer): EntityPart | null {
    const { cache, codec } = this.#shared
    const known = cache.get(this.#owner, key) as Kept | undefined
    if (known?.bytes.equals(bytes) === true) return known.part
    try {
      const part = codec.decodeEntity(bytes)
      // A copy: what came over the wire is a view of a much larger block.
      cache.put(this.#owner, key, { bytes: Buffer.from(bytes), part }, weightOf(part))
      return part
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_STATE_CORRUPT')) return null
      throw error
    }
  }
}
