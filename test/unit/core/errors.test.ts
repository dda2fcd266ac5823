import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  SluiceError,
  errorCodes,
  isSluiceError,
  type ErrorCode,
} from '../../../services/core/errors.ts'

test('every code makes an error with its exit code and whether a retry makes sense', () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const cause = new Error('below')
    const error = new SluiceError(code, 'What is wrong.', { cause, details: { field: 'x' } })
    assert.ok(isSluiceError(error, code))
    assert.equal(error.code, code)
    assert.equal(error.retryable, errorCodes[code].retryable)
    assert.equal(error.exitCode, errorCodes[code].exitCode)
    assert.ok(error.exitCode > 0, 'a failure never exits with 0')
    assert.equal(error.cause, cause)
    assert.deepEqual(error.details, { field: 'x' })
  }
})

test('an error of another code or of another class is told apart', () => {
  const error = new SluiceError('SLUICE_USAGE', 'What is wrong.')
  assert.equal(isSluiceError(error, 'SLUICE_STATE_CORRUPT'), false)
  assert.equal(isSluiceError(error), true)
  assert.equal(isSluiceError(new Error('SLUICE_USAGE')), false)
  assert.equal(isSluiceError(null), false)
})
