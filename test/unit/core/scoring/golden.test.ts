import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { SEQUENCE_LENGTH } from '../../../../services/core/features/engine/card-sequence.ts'
import { checkGolden, goldenError, goldenToJson } from '../../../../services/core/scoring/golden.ts'

const GOLDEN = {
  rowCount: 2,
  rows: Float64Array.of(1, NaN, -0.1, 3e300),
  scores: Float64Array.of(0.25, NaN),
  sequences: null,
}

/** Vectors of a net that also reads the card's last payments; the second card has one. */
const WITH_SEQUENCES = {
  ...GOLDEN,
  sequences: {
    values: new Float64Array(2 * SEQUENCE_LENGTH)
      .fill(NaN)
      .fill(1_250, SEQUENCE_LENGTH, SEQUENCE_LENGTH + 2),
    amountsMinor: Float64Array.of(0, 4_999),
  },
}

test('golden vectors survive JSON bit for bit, absent values and unscored rows too', () => {
  const stored: unknown = JSON.parse(JSON.stringify(goldenToJson(GOLDEN)))
  assert.deepEqual(checkGolden(stored, 2, 'golden.json', false), GOLDEN)
})

test('golden vectors of a sequence net keep amounts and earlier payments; a short sequence is refused', () => {
  const stored = JSON.parse(JSON.stringify(goldenToJson(WITH_SEQUENCES))) as {
    vectors: { sequence: unknown[] }[]
  }
  assert.deepEqual(checkGolden(stored, 2, 'target-golden.json', true), WITH_SEQUENCES)
  stored.vectors[1]?.sequence.pop()
  assert.throws(
    () => checkGolden(stored, 2, 'target-golden.json', true),
    (error) =>
      isSluiceError(error, 'SLUICE_MODEL_CORRUPT') &&
      error.message.includes(`vectors[1] has a sequence of ${SEQUENCE_LENGTH - 1} numbers`),
  )
})

test('golden vectors of another width are refused with their place', () => {
  const stored: unknown = JSON.parse(JSON.stringify(goldenToJson(GOLDEN)))
  assert.throws(
    () => checkGolden(stored, 3, 'golden.json', false),
    (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT') && error.message.includes('vectors[0]'),
  )
})

test('a row scored by one side only counts as an infinite difference', () => {
  const expected = Float64Array.of(0.5, NaN)
  assert.equal(goldenError(expected, Float64Array.of(0.5, NaN)), 0)
  assert.equal(goldenError(expected, Float64Array.of(0.25, NaN)), 0.25)
  assert.equal(goldenError(expected, Float64Array.of(0.5, 0)), Infinity)
  assert.equal(goldenError(expected, Float64Array.of(NaN, NaN)), Infinity)
  assert.equal(goldenError(expected, Float64Array.of(0.5)), Infinity)
})
