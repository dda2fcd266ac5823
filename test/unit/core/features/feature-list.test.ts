import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ABSENCES,
  WINDOWS,
  type WindowName,
} from '../../../../services/core/features/feature-definition.ts'
import {
  FEATURES,
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../../../services/core/features/feature-list.ts'

test('every feature has a name of its own, a unit and a sentence', () => {
  assert.equal(new Set(FEATURE_NAMES).size, FEATURE_COUNT)
  for (const { name, unit, sentence, absence } of FEATURES) {
    assert.match(name, /^[a-z][a-z0-9_]*$/)
    assert.ok(unit !== '' && sentence !== '' && absence in ABSENCES, name)
  }
})

test('windows are named after their lengths', () => {
  for (const definition of FEATURES) {
    const { name, windowMs } = definition
    const ratio = /_(1d)_30d$/.exec(name)
    const short = (ratio ?? /_(1m|10m|1h|1d|7d|30d)$/.exec(name))?.[1] as WindowName | undefined
    if (short !== undefined) assert.equal(windowMs, WINDOWS[short].windowMs, name)
  }
})

test('windows over labels end a week before the transaction, other shared ones two hours, its own with it', () => {
  for (const { entity, aggregate, delayMs, name } of FEATURES) {
    if (entity === 'transaction' || entity === 'card') assert.equal(delayMs, 0, name)
    else if (aggregate.startsWith('fraud')) assert.equal(delayMs, 7 * 86_400_000, name)
    else if (aggregate === 'distinct_cards') assert.equal(delayMs, 2 * 3_600_000, name)
    else assert.ok(delayMs === 7 * 86_400_000 || delayMs === 2 * 3_600_000, name)
  }
})

test('the hash of the list is a SHA-256', () => {
  assert.match(FEATURE_LIST_HASH, /^[0-9a-f]{64}$/)
})
