// Every Redis key is built here. The braces keep all keys of one partition on one slot of a cluster, so that the
// fence and the values it guards change together, and a reader of a partition sees one moment of it.

import { STATE_LAYOUT } from '../../core/stream/partition-progress.ts'

const PREFIX = 'sluice'

/**
 * Keys of one partition of one stream. The epoch is the same for every layout, since a partition has one owner whatever
 * version it runs; all else carries the layout. A generation is one build of the state.
 */
export function partitionKeys(streamId: string, partition: number) {
  const base = `${PREFIX}:{${streamId}:${partition}}`
  const state = `${base}:s${STATE_LAYOUT}`
  // Nearly always the same one, and asked for with every key.
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
    /** How far a rebuild has come, in a generation that nobody reads yet; empty when there is none. */
    restore: `${state}:restore`,
    /** A reader's word that a value of this partition is damaged; empty when there is none. */
    damage: `${state}:damage`,
    card: (generation: number, card: string) => `${built(generation)}:c:${card}`,
    /** `name` is that of `entityName`. */
    entity: (generation: number, name: string) => `${built(generation)}:e:${name}`,
    entities: (generation: number) => `${built(generation)}:e:`,
    /** A page of messages. */
    messages: (generation: number, page: number) => `${built(generation)}:m:${page.toString(36)}`,
  } as const
}

const LOW_RANGE = 2 ** 25

/** An entity in a key: kind and reference as core's `entityKeyOf` joins them, as two small numbers in base 36. */
export function entityName(entity: number): string {
  // In one piece it would be no small integer, whose conversion takes ten times as long.
  const high = Math.floor(entity / LOW_RANGE)
  return `${high.toString(36)}.${(entity % LOW_RANGE).toString(36)}`
}

export type PartitionKeys = ReturnType<typeof partitionKeys>

/** Matches every key of a stream, whatever the partition. */
export function streamKeyPattern(streamId: string): string {
  return `${PREFIX}:{${streamId}:*`
}
