import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { sparkovSplit } from '../../../../services/trainer/protocol/sparkov-split.ts'

const TIMES = [
  '2020-04-11T23:59:59Z',
  '2020-04-12T00:00:00Z',
  '2020-06-20T23:59:59Z',
  '2020-06-21T00:00:00Z',
  '2020-09-30T12:00:00Z',
]

function rowsOf(times: readonly string[]) {
  return {
    eventTimesMs: Float64Array.from(times, (time) => Date.parse(time)),
    cards: new Uint32Array(times.length),
    truth: new Uint8Array(times.length),
  }
}

test('everything to 2020-06-20 is trained on and everything after is assessed', () => {
  const { train, assessed } = sparkovSplit(rowsOf(TIMES), '2020-06-21')
  assert.deepEqual(
    [[...train], [...assessed]],
    [
      [0, 1, 2],
      [3, 4],
    ],
  )
})

test('an earlier day, for choices, is assessed without the days of the test', () => {
  const { train, assessed } = sparkovSplit(rowsOf(TIMES), '2020-04-12')
  assert.deepEqual([[...train], [...assessed]], [[0], [1, 2]])
})

test('data of one side only are refused', () => {
  for (const times of [TIMES.slice(0, 3), TIMES.slice(3)]) {
    assert.throws(
      () => sparkovSplit(rowsOf(times), '2020-06-21'),
      (error) => isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID'),
    )
  }
})
