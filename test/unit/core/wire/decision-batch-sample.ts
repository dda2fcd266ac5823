// Decision batches of any size, as a partition would write them.

import type { DecisionBatch, DecisionRecord } from '../../../../services/core/wire/records.ts'

const TIME_MS = 1_532_476_800_000
const DIGEST = '0123456789abcdef'.repeat(4)

/** A decision batch of the given size; the reasons and annotations are on every fiftieth decision. */
export function decisionBatchOf(decisionCount: number, featureCount: number): DecisionBatch {
  const features = Buffer.alloc(decisionCount * featureCount * 8)
  for (let index = 0; index < decisionCount * featureCount; index += 1) {
    features.writeDoubleLE(index / 7, index * 8)
  }
  return {
    streamId: 'stream-1',
    partition: 3,
    firstOffset: 1_000_000,
    nextOffset: 1_000_000 + decisionCount,
    labelNextOffset: 55,
    watermarks: 1,
    alignment: 'aligned',
    mode: 'enforce',
    modelVersion: '2026-01-01.1',
    modelDigest: DIGEST,
    backend: 'wasm',
    policyDigest: DIGEST,
    policyVersion: 7,
    featureListHash: DIGEST,
    ratesDigest: DIGEST,
    controlPosition: 12,
    frontier: [0, 1, 2, 3].map((partition) => ({
      partition,
      nextOffset: 1_000_000 + partition,
      labelNextOffset: 50 + partition,
    })),
    previousHash: Buffer.alloc(32, 7),
    decidedAtMs: TIME_MS + 20,
    featureCount,
    features,
    featureStates: Buffer.alloc(decisionCount * featureCount, 2),
    decisions: Array.from({ length: decisionCount }, (_, index) => decisionOf(index)),
    deadLetterOffsets: [1_000_001, 1_000_003],
    digestSalts: Buffer.alloc(decisionCount * 16, 9),
    erased: [],
  }
}

function decisionOf(index: number): DecisionRecord {
  const isFlagged = index % 50 === 0
  return {
    offset: 1_000_000 + index,
    revision: 0,
    transactionId: `tx-1-${index}`,
    card: `card-${index}`,
    eventTimeMs: TIME_MS + index,
    amountMinor: 4_200 + index,
    currency: 'EUR',
    outcome: isFlagged ? 'flag' : 'approve',
    score: index % 7 === 3 ? null : 0.5,
    notScored: index % 7 === 3 ? 'duplicate' : null,
    duplicateOfOffset: index % 7 === 3 ? 999_000 : null,
    entityAgeMs: index % 2 === 0 ? 1_500 : null,
    causeOffset: index % 5 === 0 ? 1_000_500 : null,
    segment: isFlagged ? 'ecommerce' : null,
    rules: isFlagged ? ['many-cards'] : [],
    annotations: isFlagged ? ['late', 'entity_lagging'] : [],
    reasons: isFlagged
      ? [1, 2, 3].map((place) => ({
          feature: `card_count_${place}h`,
          value: place === 2 ? null : 3,
          baseline: 1,
          scoreAtBaseline: 0.25,
          text: 'Three payments in one hour; usually one.',
        }))
      : [],
  }
}
