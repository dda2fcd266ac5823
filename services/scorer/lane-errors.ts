// The errors that make a lane start over or stop.

import { SluiceError } from '../core/errors.ts'

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
