import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  FEATURES,
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../../../services/core/features/feature-list.ts'

test('every feature has a name of its own, a unit and a sentence', () => {
  assert.equal(new Set(FEATURE_NAMES).size, FEATURE_COUNT)
  for (const { name, unit, sentence, absentWhen } of FEATURES) {
    assert.match(name, /^[a-z][a-z0-9_]*$/)
    assert.ok(unit !== '' && sentence !== '' && absentWhen !== '', name)
  }
})

test('windows are named after their lengths', () => {
  const hours = { '1h': 1, '1d': 24, '7d': 7 * 24, '30d': 30 * 24 } as const
  for (const { name, windowMs } of FEATURES) {
    const short = /_(1h|1d|7d|30d)$/.exec(name)?.[1] as keyof typeof hours | undefined
    if (short !== undefined) assert.equal(windowMs, hours[short] * 3_600_000, name)
  }
})

test('terminal windows end a week before the transaction, others with it', () => {
  for (const { entity, delayMs, name } of FEATURES) {
    assert.equal(delayMs, entity === 'terminal' ? 7 * 86_400_000 : 0, name)
  }
})

test('the hash of the list is a SHA-256', () => {
  assert.match(FEATURE_LIST_HASH, /^[0-9a-f]{64}$/)
})
