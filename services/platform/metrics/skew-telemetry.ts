// Metrics of the skew meter: one function per event. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { NOT_COMPARED } from '../../core/features/provenance/row-comparison.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

/** Values by feature, in the order of the list. */
export interface ComparedCounts {
  readonly decisions: number
  readonly compared: Uint32Array
  readonly mismatches: Uint32Array
  /** By reason, in the order of NOT_COMPARED. */
  readonly notCompared: Uint32Array
}

/** Status of the meter. */
export interface SkewStatus {
  readonly behindMs: number
  readonly waitingBatches: number
  /** Share of cards and entities that are sampled. */
  readonly sample: number
  /** Cards and entity aggregates in memory. */
  readonly heldValues: number
}

export interface SkewTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** True while the meter follows the topics, for readiness. */
  readonly isFollowing: boolean
  compared(counts: ComparedCounts): void
  batchesUnreadable(count: number): void
  stood(standing: SkewStatus): void
  following(isFollowing: boolean): void
}

/** Metrics of one skew meter. */
export function createSkewTelemetry(): SkewTelemetry {
  const make = createProcessMetrics()
  const decisions = make.counter(
    'sluice_skew_decisions_total',
    'Decisions of the sample that were recomputed, revisions included.',
  )
  const compared = make.counter(
    'sluice_skew_values_compared_total',
    'Values of features that were recomputed from the log and compared, by feature.',
    { feature: FEATURE_NAMES },
  )
  const mismatches = make.counter(
    'sluice_skew_mismatches_total',
    'Values that differ from those of the decision, compared bit for bit, by feature.',
    { feature: FEATURE_NAMES },
  )
  const notCompared = make.counter(
    'sluice_skew_values_not_compared_total',
    'Values of recomputed decisions that could not be compared, by reason.',
    { reason: NOT_COMPARED },
  )
  const unreadable = make.counter(
    'sluice_skew_unreadable_batches_total',
    'Messages of the decisions topic that are not decision batches this version can read.',
  )
  const gauges = gaugesOf(make)
  let isFollowing = false
  const count = (by: (index: number, count: number) => void, counts: Uint32Array): void => {
    for (const [index, added] of counts.entries()) if (added > 0) by(index, added)
  }
  return {
    registry: make.registry,
    definitions: make.definitions,
    get isFollowing() {
      return isFollowing
    },
    compared(counts) {
      decisions.inc(counts.decisions)
      count((index, added) => {
        compared.inc({ feature: FEATURE_NAMES[index] ?? '' }, added)
      }, counts.compared)
      count((index, added) => {
        mismatches.inc({ feature: FEATURE_NAMES[index] ?? '' }, added)
      }, counts.mismatches)
      count((index, added) => {
        notCompared.inc({ reason: NOT_COMPARED[index] ?? 'outside_sample' }, added)
      }, counts.notCompared)
    },
    batchesUnreadable(added) {
      unreadable.inc(added)
    },
    stood: gauges.stood,
    following(isFollowingNow) {
      isFollowing = isFollowingNow
      gauges.following(isFollowingNow)
    },
  }
}

function gaugesOf(
  make: ReturnType<typeof createProcessMetrics>,
): Pick<SkewTelemetry, 'stood' | 'following'> {
  const behind = make.gauge(
    'sluice_skew_behind_seconds',
    'Age of the oldest decision that is not recomputed yet; 0 when there is none.',
  )
  const waiting = make.gauge(
    'sluice_skew_waiting_batches',
    'Decision batches that wait for messages or for decision batches of other partitions.',
  )
  const sample = make.gauge(
    'sluice_skew_sample_ratio',
    'Share of cards and entities that are recomputed; halved when the sample outgrows its memory.',
  )
  const held = make.gauge(
    'sluice_skew_held_values',
    'Cards and partial aggregates of entities in memory.',
  )
  const following = make.gauge('sluice_skew_following', '1 while the meter follows the topics.')
  return {
    stood(standing) {
      behind.set(standing.behindMs / 1_000)
      waiting.set(standing.waitingBatches)
      sample.set(standing.sample)
      held.set(standing.heldValues)
    },
    following(isFollowing) {
      following.set(isFollowing ? 1 : 0)
    },
  }
}
