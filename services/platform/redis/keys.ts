// Builds every Redis key. The braces place all keys of one partition in one slot of a cluster, so that the fence and
// the values it guards change together, and a reader of a partition sees a consistent state.

import {
  FEATURE_LIST_HASH,
  IS_SHIPPED_CATALOGUE,
} from '../../core/features/catalogue/feature-list.ts'
import { STATE_LAYOUT } from '../../core/stream/partition-progress.ts'

const PREFIX = 'sluice'
/** State holds what the features look at, so each catalogue has a state of its own. */
const CATALOGUE = IS_SHIPPED_CATALOGUE ? '' : `.${FEATURE_LIST_HASH.slice(0, 12)}`

/**
 * Keys of one partition of one stream. The epoch is the same for every layout, since a partition has one owner whatever
 * version it runs; all other keys include the layout and the catalogue of features. A generation is one build of the
 * state.
 */
export function partitionKeys(streamId: string, partition: number) {
  const base = `${PREFIX}:{${streamId}:${partition}}`
  const state = `${base}:s${STATE_LAYOUT}${CATALOGUE}`
  // Nearly always the same generation, and needed for every key.
  let last = -1
  let start = ''
  const built = (generation: number): string => {
    if (generation !== last) {
      last = generation
      start = `${state}:${generation.toString(36)}`
    }
    return start
  }
  return {
    epoch: `${base}:epoch`,
    progress: `${state}:progress`,
    /** Progress of a rebuild, in a generation that nobody reads yet; empty if there is none. */
    restore: `${state}:restore`,
    /** A reader's note that a value of this partition is damaged; empty if there is none. */
    damage: `${state}:damage`,
    card: (generation: number, card: string) => `${built(generation)}:c:${card}`,
    /** `name` is a result of `entityName`. */
    entity: (generation: number, name: string) => `${built(generation)}:e:${name}`,
    entities: (generation: number) => `${built(generation)}:e:`,
    /** A page of messages. */
    messages: (generation: number, page: number) => `${built(generation)}:m:${page.toString(36)}`,
  } as const
}

const LOW_RANGE = 2 ** 25

/** Name of an entity in a key: kind and hash as core's `entityKeyOf` joins them, as two small integers in base 36. */
export function entityName(entity: number): string {
  // As one number it would not be a small integer, and its conversion would take ten times as long.
  const high = Math.floor(entity / LOW_RANGE)
  return `${high.toString(36)}.${(entity % LOW_RANGE).toString(36)}`
}

export type PartitionKeys = ReturnType<typeof partitionKeys>

/** Pattern of all keys of a stream, of any partition. */
export function streamKeyPattern(streamId: string): string {
  return `${PREFIX}:{${streamId}:*`
}
