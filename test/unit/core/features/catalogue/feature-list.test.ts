import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ABSENCES,
  ENTITY_KINDS,
  WINDOWS,
} from '../../../../../services/core/features/catalogue/feature-definition.ts'
import {
  FEATURES,
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../../../../../services/core/features/catalogue/feature-list.ts'
import { DAY_MS, HOUR_MS } from '../../../../support/feature-streams.ts'

const PUBLISHED = [
  'amount',
  'is_weekend',
  'is_night',
  'hour_of_day',
  'card_count_1d',
  'card_count_7d',
  'card_count_30d',
  'card_mean_amount_1d',
  'card_mean_amount_7d',
  'card_mean_amount_30d',
  'terminal_count_1d',
  'terminal_count_7d',
  'terminal_count_30d',
  'terminal_fraud_share_1d',
  'terminal_fraud_share_7d',
  'terminal_fraud_share_30d',
]

test('every feature has a name of its own, a unit, a sentence and words for its absence', () => {
  assert.equal(new Set(FEATURE_NAMES).size, FEATURE_COUNT)
  for (const { name, unit, sentence, absence } of FEATURES) {
    assert.match(name, /^[a-z][a-z0-9_]*$/)
    assert.ok(unit !== '' && sentence !== '' && absence in ABSENCES, name)
  }
})

test('windows are named after their lengths', () => {
  const names = Object.keys(WINDOWS).join('|')
  for (const definition of FEATURES) {
    const { name, windowMs } = definition
    const longMs = 'longWindowMs' in definition ? definition.longWindowMs : undefined
    const short = new RegExp(`_(${names})$`).exec(name)?.[1] as keyof typeof WINDOWS | undefined
    if (short === undefined) continue
    const isRatio = definition.aggregate.endsWith('_ratio')
    assert.equal(isRatio ? longMs : windowMs, WINDOWS[short].windowMs, name)
  }
})

test('entity windows over labels end a week before the transaction, others two hours, and none with it', () => {
  const kinds: readonly string[] = ENTITY_KINDS
  for (const { entity, aggregate, delayMs, name } of FEATURES) {
    const isOverLabels = aggregate.startsWith('fraud') || name.startsWith('terminal_count')
    const expected = kinds.includes(entity) ? (isOverLabels ? 7 * DAY_MS : 2 * HOUR_MS) : 0
    assert.equal(delayMs, expected, name)
  }
})

test('the published features come first, in their order', () => {
  assert.deepEqual(FEATURE_NAMES.slice(0, PUBLISHED.length), PUBLISHED)
})

test('the hash of the list is a SHA-256', () => {
  assert.match(FEATURE_LIST_HASH, /^[0-9a-f]{64}$/)
})
