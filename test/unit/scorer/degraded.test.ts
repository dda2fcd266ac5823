// Goal: a partition without its state decides on the transaction alone, annotates the decision, and blocks nothing. The
// control is the same batch decided with state, which is blocked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT, FEATURES } from '../../../services/core/features/catalogue/feature-list.ts'
import { STATE } from '../../../services/core/features/engine/feature-states.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../services/core/features/engine/partition-fold.ts'
import type { PartitionEntry } from '../../../services/scorer/batch/fold-batch.ts'
import type { DecideOptions } from '../../../services/scorer/decide/decide-options.ts'
import { decideBatch } from '../../../services/scorer/batch/micro-batch.ts'
import { PlainState } from '../../support/plain-state.ts'
import { fullTransaction } from '../core/wire/samples.ts'
import { DECIDE_BY_AMOUNT } from './decide-by-amount.ts'

const USUAL = FEATURES.map((_, feature) => feature + 0.5)
const NEEDS_STATE = FEATURES.map(({ entity }) => entity !== 'transaction')

const options: DecideOptions = {
  ...DECIDE_BY_AMOUNT,
  alignment: 'live',
  baseline: USUAL,
  score: (_, rowCount) => new Float64Array(rowCount).fill(0.99),
}

const entries: readonly PartitionEntry[] = [1, 2].map((offset) => ({
  kind: 'transaction',
  offset,
  timestampMs: fullTransaction.eventTimeMs,
  transaction: { ...fullTransaction, id: `tx-${offset}`, currency: 'EUR', intentId: null },
}))
const newFold = (): PartitionFold => new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)

test('what would be blocked is flagged, and says why', async () => {
  const whole = await decideBatch(
    { labels: [], entries, labelNextOffset: 0 },
    { fold: newFold(), state: new PlainState(), progress: [null] },
    0,
    options,
  )
  assert.deepEqual(
    whole.decisions.map(({ outcome }) => outcome),
    ['block', 'block'],
  )
  const decided = await decideBatch(
    { labels: [], entries, labelNextOffset: 0 },
    { fold: newFold(), state: null, progress: [] },
    0,
    options,
  )
  for (const { outcome, score, annotations } of decided.decisions) {
    assert.deepEqual([outcome, score], ['flag', 0.99])
    assert.ok(annotations.includes('degraded'))
  }
  for (const { action, lease, annotations } of decided.alerts) {
    assert.deepEqual([action, lease], ['flag', null])
    assert.ok(annotations.includes('degraded'))
  }
  assert.equal(decided.alerts.length, 2)
})

test('what needs state is absent from the row and has the state degraded', async () => {
  const decided = await decideBatch(
    { labels: [], entries, labelNextOffset: 0 },
    { fold: newFold(), state: null, progress: [] },
    0,
    options,
  )
  for (const [at, value] of decided.features.entries()) {
    const feature = at % FEATURE_COUNT
    const name = FEATURES[feature]?.name
    const needsState = NEEDS_STATE[feature] === true
    assert.equal(Number.isNaN(value), needsState, name)
    assert.equal(decided.states[at], needsState ? STATE.degraded : STATE.present, name)
  }
})

test('the place in the stream moves as it does with state', async () => {
  const [whole, degraded] = [newFold(), newFold()]
  await decideBatch(
    { labels: [], entries, labelNextOffset: 0 },
    { fold: whole, state: new PlainState(), progress: [null] },
    0,
    options,
  )
  await decideBatch(
    { labels: [], entries, labelNextOffset: 0 },
    { fold: degraded, state: null, progress: [] },
    0,
    options,
  )
  assert.deepEqual(degraded.position, whole.position)
})
