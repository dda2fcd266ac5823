// A copy of a decision batch without the values of one card. The chain still verifies: see batch-hash.ts.

import { STATE } from '../features/engine/feature-states.ts'
import type { DecisionBatch, DecisionRecord } from '../wire/records.ts'
import { DIGEST_SALT_BYTES, digestsOf } from './batch-hash.ts'

const DOUBLE_BYTES = 8

/**
 * Offset and revision of the card's decisions stay, and their digests, which reveal nothing without the salts; those are
 * erased too.
 */
export function eraseCard(block: DecisionBatch, card: string): DecisionBatch {
  const indexes = block.decisions.flatMap((decision, index) =>
    decision.card === card ? [index] : [],
  )
  if (indexes.length === 0) return block
  const digests = digestsOf(block)
  const { featureCount } = block
  const features = Buffer.from(block.features)
  const featureStates = block.featureStates === null ? null : Buffer.from(block.featureStates)
  const digestSalts = Buffer.from(block.digestSalts)
  const nothing = Buffer.from(new Float64Array(featureCount).fill(NaN).buffer)
  for (const index of indexes) {
    nothing.copy(features, index * featureCount * DOUBLE_BYTES)
    featureStates?.subarray(index * featureCount, (index + 1) * featureCount).fill(STATE.absent)
    digestSalts.subarray(index * DIGEST_SALT_BYTES, (index + 1) * DIGEST_SALT_BYTES).fill(0)
  }
  const gone = new Set(indexes)
  const erased = indexes.map((index) => ({ index, digest: digests[index] ?? new Uint8Array() }))
  return {
    ...block,
    features,
    featureStates,
    digestSalts,
    decisions: block.decisions.map((decision, index) =>
      gone.has(index) ? placeOf(decision) : decision,
    ),
    erased: [...block.erased, ...erased],
  }
}

function placeOf({ offset, revision }: DecisionRecord): DecisionRecord {
  return {
    offset,
    revision,
    transactionId: '',
    card: '',
    eventTimeMs: 0,
    amountMinor: 0,
    currency: '',
    outcome: 'approve',
    score: null,
    notScored: 'unknown',
    duplicateOfOffset: null,
    annotations: [],
    reasons: [],
    entityAgeMs: null,
    causeOffset: null,
    segment: null,
    rules: [],
  }
}
