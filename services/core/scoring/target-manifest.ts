// The part of a manifest that tells of the large net of a cascade.

import type { Calibration } from './scaling.ts'
import type { Agreement } from './cascade.ts'
import { readNumber, type FieldReader } from './field-reader.ts'
import { readCodeRamps, readEdges } from './read-edges.ts'
import type { SequenceEncoding } from './sequence-encoding.ts'

/** The large net of a cascade. It reads the same scaled features as the draft, and the card's last payments. */
export interface TargetManifest {
  readonly members: number
  readonly eventUnits: readonly number[]
  readonly hiddenUnits: readonly number[]
  readonly epochs: number
  readonly encoding: SequenceEncoding
  readonly calibration: Calibration
  /** From which calibrated score of the draft on the target decides. */
  readonly verifyFrom: number
  /** Of validation rows. */
  readonly verifiedShare: number
  /** Share of payments that the target scores whatever the draft says, to measure agreement. */
  readonly sampleShare: number
  readonly agreement: Agreement
}

/** Names of the layers of a member, from 1, by which who scores finds them in what the trainer wrote. */
export const memberLayers = {
  event: (member: number, index: number): string => `member_${member}_event_${index + 1}`,
  dense: (member: number, index: number): string => `member_${member}_dense_${index + 1}`,
  output: (member: number): string => `member_${member}_output`,
} as const

/** @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readTarget(fields: FieldReader): TargetManifest {
  return {
    members: fields.integer('members', 1, 16),
    eventUnits: fields.array('eventUnits', 16, readNumber),
    hiddenUnits: fields.array('hiddenUnits', 16, readNumber),
    epochs: fields.integer('epochs'),
    encoding: fields.object('encoding', (encoding) => ({
      against: readEdges(encoding, 'against', 'the target', 2),
      typical: readEdges(encoding, 'typical', 'the target', 2),
      amount: readEdges(encoding, 'amount', 'the target', 2),
      age: readEdges(encoding, 'age', 'the target', 2),
      clock: readEdges(encoding, 'clock', 'the target', 2),
      categories: readEdges(encoding, 'categories', 'the target'),
      amountByCategory: encoding.objectOrNull('amountByCategory', (ramps) =>
        readCodeRamps(ramps, 'the target'),
      ),
    })),
    calibration: fields.object('calibration', readCalibration),
    ...readBand(fields),
  }
}

/** Where the band begins and what validation said of it. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readBand(
  fields: FieldReader,
): Pick<TargetManifest, 'verifyFrom' | 'verifiedShare' | 'sampleShare' | 'agreement'> {
  return {
    verifyFrom: fields.number('verifyFrom', 0, 1),
    verifiedShare: fields.number('verifiedShare', 0, 1),
    sampleShare: fields.number('sampleShare', 0, 1),
    agreement: fields.object('agreement', (agreement) => ({
      rows: agreement.integer('rows'),
      differing: agreement.integer('differing'),
      flags: agreement.integer('flags'),
      missedFlags: agreement.integer('missedFlags'),
      blocks: agreement.integer('blocks'),
      missedBlocks: agreement.integer('missedBlocks'),
      confidence: agreement.number('confidence', 0, 1),
      overallAtLeast: agreement.number('overallAtLeast', 0, 1),
      flagsAtLeast: agreement.number('flagsAtLeast', 0, 1),
      blocksAtLeast: agreement.number('blocksAtLeast', 0, 1),
    })),
  }
}

/** @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readCalibration(fields: FieldReader): Calibration {
  return {
    kind: fields.oneOf('kind', ['identity', 'platt']),
    slope: fields.number('slope', Number.MIN_VALUE, 1e6),
    intercept: fields.number('intercept', -1e6, 1e6),
  }
}
