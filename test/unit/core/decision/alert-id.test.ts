import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertIdOf } from '../../../../services/core/decision/decide.ts'

test('the id of an alert is that of its input record', () => {
  const id = alertIdOf('stream', 'transactions', 3, 17)
  assert.match(id, /^[0-9a-f]{32}$/)
  assert.equal(alertIdOf('stream', 'transactions', 3, 17), id)
})

test('records that differ in one part have alerts of different ids', () => {
  const ids = [
    alertIdOf('stream', 'transactions', 3, 17),
    alertIdOf('stream2', 'transactions', 3, 17),
    alertIdOf('stream', 'transactions2', 3, 17),
    alertIdOf('stream', 'transactions', 31, 7),
    alertIdOf('stream', 'transactions', 3, 18),
  ]
  assert.equal(new Set(ids).size, ids.length)
})
