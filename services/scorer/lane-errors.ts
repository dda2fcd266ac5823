// The errors that make a lane start over or stop.

import { SluiceError } from '../core/errors.ts'
import { kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import type { Logger } from '../platform/log.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'

/** The write was refused: a later epoch exists. */
export function fenced(partition: number): SluiceError {
  return new SluiceError(
    'SLUICE_LANE_FENCED',
    `Another owner writes lane ${partition}; nothing of this batch was written or published.`,
  )
}

/** Redis no longer knows our epoch: it has lost data, so the state must be built again. */
export function lost(partition: number): SluiceError {
  return new SluiceError(
    'SLUICE_FEATURE_STORE_UNAVAILABLE',
    `Redis has lost the state of lane ${partition}; it is built again from the log.`,
  )
}

/** What must be read next is no longer, or not yet, in the log. */
export function outOfRange(
  topic: string,
  partition: number,
  offset: number,
  low: number,
  high: number,
): SluiceError {
  return new SluiceError(
    'SLUICE_LANE_OFFSET_OUT_OF_RANGE',
    `${topic}-${partition} holds offsets ${low} to ${high}, but ${offset} is next to be decided. ` +
      'Messages would be skipped: raise the retention, or reset the group on purpose.',
    { details: { topic, partition, offset, low, high } },
  )
}

/** Who hears of a refusal. */
export interface RefusalDeps {
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  /** Called when a server refuses what a lane needs: no other lane of this process could do better. */
  readonly onRefused?: (error: Error) => void
}

/**
 * True when a server refuses what the lane needs, which lasts until somebody grants it; that is counted and told. A
 * handshake that breaks off is not meant: that may be a broker that restarts.
 */
export function isRefused(
  error: unknown,
  partition: number,
  { log, telemetry, onRefused }: RefusalDeps,
): boolean {
  const refusal = kafkaRefusal(error)
  if (refusal?.code !== 'SLUICE_ACCESS_DENIED') return false
  telemetry.laneStopped('access_denied')
  log.error({ partition, error: refusal }, 'The lane has stopped: a server refuses us.')
  onRefused?.(refusal)
  return true
}
