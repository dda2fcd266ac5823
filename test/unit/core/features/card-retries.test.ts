// Goal: dropping events that a partition will decide again changes nothing about older events. Method: a retry whose
// own past is finalised by rule, but not yet stored as such, stays a retry.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { cardEventOf } from '../../../../services/core/features/state/card-event.ts'
import { COLUMN, FLAG } from '../../../../services/core/features/state/card-columns.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { itemsOf } from '../../../support/feature-streams.ts'
import { stepAt } from '../../../support/plain-steps.ts'

const HOUR_MS = 3_600_000

test('a retry that is older than what is settled stays one when later events are dropped', () => {
  const history = new CardHistory()
  const steps = [
    stepAt({ repeatsIntent: 0 }),
    stepAt({ gapMs: HOUR_MS, repeatsIntent: 1 }),
    stepAt({ gapMs: 6 * 24 * HOUR_MS }),
    stepAt({ gapMs: HOUR_MS }),
  ]
  const items = itemsOf(steps).filter((item) => item.kind === 'transaction')
  for (const [offset, { transaction }] of items.entries()) {
    const shared = offset < 2 ? { ...transaction, intentId: 'one' } : transaction
    const event = cardEventOf(shared, offset, DEFAULT_RATES)
    history.insert(event, history.isRetry(event.timeMs, event.idHash, event.intentHash))
  }
  assert.equal(history.at(1, COLUMN.flags) & FLAG.retry, FLAG.retry)
  history.forgetFrom(3)
  assert.equal(history.count, 3)
  assert.equal(history.at(1, COLUMN.flags) & FLAG.retry, FLAG.retry)
})
