// The errors that make a partition start over or stop.

import { type ErrorCode, isSluiceError, SluiceError } from '../core/errors.ts'
import { kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import type { Logger } from '../platform/log.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import {
  STATE_LOSSES,
  type StateLoss,
  type StopReason,
} from '../platform/metrics/partition-metrics.ts'

/** The write was refused because a later epoch exists. */
export function fenced(partition: number): SluiceError {
  return new SluiceError(
    'SLUICE_PARTITION_FENCED',
    `Another owner writes partition ${partition}; nothing of this batch was written or published.`,
  )
}

/** The state in Redis is not the one that this partition wrote; it is restored from the log. */
export function lost(
  partition: number,
  loss: StateLoss,
  generation: number | null = null,
): SluiceError {
  return new SluiceError(
    'SLUICE_STATE_LOST',
    `The state of partition ${partition} is lost (${loss}); it is restored from the log.`,
    { details: { partition, loss, generation } },
  )
}

/** The kind of state loss that the error reports, including a Redis that does not answer; null for any other error. */
export function lossOf(error: unknown): StateLoss | null {
  const unanswered = ['SLUICE_FEATURE_STORE_UNAVAILABLE', 'SLUICE_TLS_FAILED'] as const
  if (unanswered.some((code) => isSluiceError(error, code))) return 'unanswered'
  if (!isSluiceError(error, 'SLUICE_STATE_LOST')) return null
  return STATE_LOSSES.find((loss) => loss === error.details['loss']) ?? null
}

/** The generation that holds an unreadable value; null when the error reports none. */
export function corruptGenerationOf(error: unknown): number | null {
  if (!isSluiceError(error, 'SLUICE_STATE_LOST') || error.details['loss'] !== 'corrupt') return null
  const { generation } = error.details
  return typeof generation === 'number' ? generation : null
}

/**
 * Errors after which continuing would skip, repeat or corrupt transactions: the partition stops until an operator acts.
 */
const STOPS = {
  SLUICE_PARTITION_OFFSET_OUT_OF_RANGE: 'offset_out_of_range',
  SLUICE_PARTITION_OFFSET_LOST: 'offset_lost',
  SLUICE_LOG_CORRUPT: 'log_corrupt',
} as const satisfies Partial<Record<ErrorCode, StopReason>>

/** The reason for which the partition must stop for good; null when it may start over. */
export function stopReasonOf(error: unknown): StopReason | null {
  for (const [code, reason] of Object.entries(STOPS)) {
    if (isSluiceError(error, code as keyof typeof STOPS)) return reason
  }
  return null
}

/** Receivers of a refusal. */
export interface RefusalDeps {
  readonly log: Logger
  readonly telemetry: ScorerTelemetry
  /** Called when a server refuses access: every partition of this process would be refused. */
  readonly onRefused?: (error: Error) => void
}

/**
 * True when a server refuses access, which lasts until somebody grants it; the refusal is counted and logged. A
 * handshake that breaks off does not count: the broker may be restarting.
 */
export function isRefused(
  error: unknown,
  partition: number,
  { log, telemetry, onRefused }: RefusalDeps,
): boolean {
  const refusal = kafkaRefusal(error)
  if (refusal?.code !== 'SLUICE_ACCESS_DENIED') return false
  telemetry.partitionStopped('access_denied')
  log.error({ partition, error: refusal }, 'The partition has stopped: a server refuses access.')
  onRefused?.(refusal)
  return true
}
