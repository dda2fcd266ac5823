// Compares the committed offsets of a partition with its last decision batch. A decision batch and its offsets are
// committed together, so they agree at every start. When they differ, the group's offsets were lost or set by hand:
// continuing would decide transactions twice, or skip them.

import { SluiceError } from '../../core/errors.ts'
import type { DecisionBatch } from '../../core/wire/records.ts'

/** The committed offset of one input topic, null for none, and the oldest offset that the topic holds. */
export interface InputPlace {
  readonly topic: string
  readonly committed: number | null
  readonly low: number
}

/**
 * True when both offsets match the last decision batch. False when one is ahead only of records that its log no longer
 * holds: then nothing in between is left to decide.
 * @throws SluiceError SLUICE_PARTITION_OFFSET_LOST
 */
export function isWhereDecided(
  partition: number,
  { nextOffset, labelNextOffset }: Pick<DecisionBatch, 'nextOffset' | 'labelNextOffset'>,
  { transactions, labels }: { readonly transactions: InputPlace; readonly labels: InputPlace },
): boolean {
  const agreed = [
    isEqual(partition, transactions, nextOffset),
    isEqual(partition, labels, labelNextOffset),
  ]
  return agreed.every((each) => each)
}

/**
 * Compares the hash beside the committed offset of transactions with that of the last decision batch, both base64.
 * @throws SluiceError SLUICE_PARTITION_OFFSET_LOST
 */
export function checkChain(
  partition: number,
  { topic, committed }: InputPlace,
  committedHash: string,
  lastHash: string,
): void {
  if (committedHash === lastHash) return
  throw new SluiceError(
    'SLUICE_PARTITION_OFFSET_LOST',
    `The group is at offset ${committed ?? 'none'} of ${topic}-${partition}, where the last decision batch ends, but was committed ` +
      `with another batch (hash ${committedHash} and not ${lastHash}): decisions were lost, or are of another group. ` +
      'Find out which; to continue after the last batch, set the offset by hand.',
    { details: { topic, partition, committed, committedHash, lastHash } },
  )
}

function isEqual(partition: number, place: InputPlace, decidedTo: number): boolean {
  const { topic, committed, low } = place
  if (committed === decidedTo) return true
  if (committed !== null && committed > decidedTo && committed <= low) return false
  const found = committed === null ? 'has no offset' : `is at offset ${committed}`
  const harm =
    committed !== null && committed > decidedTo
      ? 'What lies between would be skipped'
      : 'What was decided would be decided again'
  throw new SluiceError(
    'SLUICE_PARTITION_OFFSET_LOST',
    `The group ${found} of ${topic}-${partition}, but the last decision batch reaches to ${decidedTo}. ` +
      `${harm}: set the group's offset of this partition to ${decidedTo}.`,
    { details: { topic, partition, committed, decidedTo, low } },
  )
}
