import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { checkGolden, goldenError, goldenToJson } from '../../../../services/core/scoring/golden.ts'

const GOLDEN = {
  rowCount: 2,
  rows: Float64Array.of(1, NaN, -0.1, 3e300),
  scores: Float64Array.of(0.25, NaN),
}

test('golden vectors come back from JSON bit for bit, absent values and unscored rows too', () => {
  const stored: unknown = JSON.parse(JSON.stringify(goldenToJson(GOLDEN)))
  assert.deepEqual(checkGolden(stored, 2), GOLDEN)
})

test('golden vectors of another width are refused with their place', () => {
  const stored: unknown = JSON.parse(JSON.stringify(goldenToJson(GOLDEN)))
  assert.throws(
    () => checkGolden(stored, 3),
    (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT') && error.message.includes('vectors[0]'),
  )
})

test('a row scored by one side only is the largest difference there is', () => {
  const expected = Float64Array.of(0.5, NaN)
  assert.equal(goldenError(expected, Float64Array.of(0.5, NaN)), 0)
  assert.equal(goldenError(expected, Float64Array.of(0.25, NaN)), 0.25)
  assert.equal(goldenError(expected, Float64Array.of(0.5, 0)), Infinity)
  assert.equal(goldenError(expected, Float64Array.of(NaN, NaN)), Infinity)
  assert.equal(goldenError(expected, Float64Array.of(0.5)), Infinity)
})
