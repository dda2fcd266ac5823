// Plans how the state of a partition comes to hold exactly what is committed. A pure function of the state in Redis,
// the committed offsets, and the offsets that the log still holds.

import { PARTITION_START } from '../../core/features/engine/partition-fold.ts'
import {
  isBehind,
  type Frontier,
  type PartitionProgress,
} from '../../core/stream/partition-progress.ts'
import type { StateLoss } from '../../platform/metrics/partition-metrics.ts'

/**
 * The state may be ahead of the commit by a batch that was written and not committed. If it is further ahead, it
 * belongs to another log.
 */
export const AHEAD_OFFSETS_MAX = 2 * 4_096

export interface StatePlanInput {
  /** The state in use, and an unfinished rebuild. */
  readonly standing: {
    readonly progress: PartitionProgress | null
    readonly restore: PartitionProgress | null
  }
  readonly committed: Frontier
  /** The oldest offsets that the log holds. */
  readonly low: Frontier
  /** A generation that holds a damaged value; null for none. */
  readonly corruptGeneration: number | null
  /** Our epoch; no earlier build of the state has it as its generation. */
  readonly epoch: number
}

export type StatePlan =
  | { readonly kind: 'current'; readonly from: PartitionProgress }
  | { readonly kind: 'reapply'; readonly from: PartitionProgress; readonly loss: 'behind' }
  | {
      readonly kind: 'rebuild'
      readonly from: PartitionProgress
      readonly loss: Exclude<StateLoss, 'unanswered' | 'rolled_back'>
    }

export function planState(input: StatePlanInput): StatePlan {
  const { standing, committed, low } = input
  const loss = lossOf(input)
  if (loss === null && standing.progress !== null) {
    const from = standing.progress
    return isBehind(from, committed)
      ? { kind: 'reapply', from, loss: 'behind' }
      : { kind: 'current', from }
  }
  const from = resumed(input) ?? {
    ...PARTITION_START,
    generation: newGeneration(input),
    nextOffset: low.nextOffset,
    labelNextOffset: low.labelNextOffset,
  }
  // Nothing is decided yet, or the log holds none of it: an empty state is complete.
  if (!isBehind(from, committed)) return { kind: 'current', from }
  return { kind: 'rebuild', from, loss: loss ?? 'emptied' }
}

/** The reason for which the state in use is unusable; null when it is usable. */
function lossOf(input: StatePlanInput): Exclude<StateLoss, 'unanswered' | 'rolled_back'> | null {
  const { progress, restore } = input.standing
  if (progress === null) return 'emptied'
  // A rebuild was begun, so some owner found the state in use to be damaged.
  if (restore !== null && restore.generation > progress.generation) return 'corrupt'
  if (progress.generation === input.corruptGeneration) return 'corrupt'
  if (isTooFarAhead(progress, input.committed)) return 'ahead'
  return isOutOfLog(progress, input) ? 'behind' : null
}

/** The rebuild begun by an earlier owner, or by us before a failure; null when there is none to continue. */
function resumed(input: StatePlanInput): PartitionProgress | null {
  const { progress, restore } = input.standing
  if (restore === null || restore.generation <= (progress?.generation ?? 0)) return null
  if (restore.generation === input.corruptGeneration) return null
  if (isTooFarAhead(restore, input.committed) || isOutOfLog(restore, input)) return null
  return restore
}

function isTooFarAhead(progress: Frontier, committed: Frontier): boolean {
  return (
    progress.nextOffset - committed.nextOffset > AHEAD_OFFSETS_MAX ||
    progress.labelNextOffset - committed.labelNextOffset > AHEAD_OFFSETS_MAX
  )
}

/** True when the log no longer holds the next record: continuing from there would leave a hole. */
function isOutOfLog(progress: Frontier, { committed, low }: StatePlanInput): boolean {
  const lacks = (next: number, committedTo: number, lowest: number): boolean =>
    next < committedTo && next < lowest
  return (
    lacks(progress.nextOffset, committed.nextOffset, low.nextOffset) ||
    lacks(progress.labelNextOffset, committed.labelNextOffset, low.labelNextOffset)
  )
}

function newGeneration({ standing: { progress, restore }, epoch }: StatePlanInput): number {
  return Math.max(epoch, (progress?.generation ?? 0) + 1, (restore?.generation ?? 0) + 1)
}
