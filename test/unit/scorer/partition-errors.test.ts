// Goal: errors after which continuing would skip, repeat or corrupt transactions stop a partition, and no others do.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, errorCodes, SluiceError } from '../../../services/core/errors.ts'
import { stopReasonOf } from '../../../services/scorer/partition-errors.ts'

test('three errors of the log stop a partition for good, each with its reason', () => {
  const codes = Object.keys(errorCodes) as ErrorCode[]
  const stops = codes.flatMap((code) => {
    const reason = stopReasonOf(new SluiceError(code, 'a test'))
    return reason === null ? [] : [[code, reason]]
  })
  deepStrictEqual(stops, [
    ['SLUICE_PARTITION_OFFSET_OUT_OF_RANGE', 'offset_out_of_range'],
    ['SLUICE_PARTITION_OFFSET_LOST', 'offset_lost'],
    ['SLUICE_LOG_CORRUPT', 'log_corrupt'],
  ])
  strictEqual(stopReasonOf(new Error('anything else')), null)
})
