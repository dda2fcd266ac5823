// Goal: it does not matter when a reader begins to use a table that changes only later rates, and a payment without a
// rate leaves no trace. Method: a simulated stream, folded with a table that is replaced in its middle, and with the last
// table from its beginning.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../../../../services/core/features/engine/history-fold.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../../services/core/features/engine/partition-fold.ts'
import {
  createRateTable,
  type CurrencyRate,
  type RateTable,
} from '../../../../../services/core/rates/rate-table.ts'
import type { Transaction } from '../../../../../services/core/transaction.ts'
import { PlainState } from '../../../../support/fold-entries.ts'
import { transactionAt } from '../../../../support/rate-streams.ts'

const COUNT = 400
const MINUTE_MS = 60_000
const START_MS = Date.UTC(2026, 5, 1)
const CHANGE_MS = START_MS + 200 * MINUTE_MS

const first: CurrencyRate = { currency: 'USD', fromMs: 0, rate: '0.9' }
const before = createRateTable('EUR', [first])
const after = createRateTable('EUR', [first, { currency: 'USD', fromMs: CHANGE_MS, rate: '0.7' }])

const stream = Array.from({ length: COUNT }, (_, index) =>
  transactionAt(START_MS + index * MINUTE_MS, index, index % 3 === 0 ? 'EUR' : 'USD'),
)

/** Rows of a partition whose table is chosen for each transaction. */
function streamed(transactions: readonly Transaction[], ratesAt: (index: number) => RateTable) {
  const fold = new PartitionFold({ rates: ratesAt(0) }, PARTITION_START)
  const state = new PlainState()
  return transactions.map((transaction, offset) => {
    fold.useRates(ratesAt(offset))
    const out = {
      row: new Float64Array(FEATURE_COUNT),
      states: new Uint8Array(FEATURE_COUNT),
      position: 0,
    }
    const { annotations } = fold.applyTransaction({ transaction, offset }, 0, state, out)
    return { row: out.row, annotations }
  })
}

function offline(rates: RateTable): readonly string[] {
  const fold = new HistoryFold({ rates, partitionCount: 1 })
  const row = new Float64Array(FEATURE_COUNT)
  return stream.map((transaction) => {
    fold.transaction(transaction, row, 0)
    return row.join()
  })
}

test('a table that is replaced before its first new rate gives the rows of the last table, streamed and offline', () => {
  const expected = offline(after)
  for (const replacedAt of [0, 1, 50, 199, 200]) {
    const rows = streamed(stream, (index) => (index < replacedAt ? before : after))
    assert.deepEqual(
      rows.map(({ row }) => row.join()),
      expected,
    )
  }
})

test('control: a table that is replaced after its first new rate gives other rows', () => {
  const rows = streamed(stream, (index) => (index < 210 ? before : after))
  assert.notDeepEqual(
    rows.map(({ row }) => row.join()),
    offline(after),
  )
})

test('a payment without a rate is annotated, has no value of its amount, and changes no later row', () => {
  const foreign = transactionAt(START_MS + 100.5 * MINUTE_MS, COUNT, 'KWD')
  const without = streamed(stream, () => after)
  const withForeign = streamed(stream.toSpliced(101, 0, foreign), () => after)
  const [own] = withForeign.splice(101, 1)
  assert.ok(own !== undefined)
  assert.deepEqual(own.annotations, ['no_rate'])
  for (const name of ['amount', 'card_sum_1d', 'card_mean_amount_1d', 'card_amount_quantile_30d']) {
    assert.ok(Number.isNaN(own.row[FEATURE_NAMES.indexOf(name)]), name)
  }
  assert.ok((own.row[FEATURE_NAMES.indexOf('card_count_1d')] ?? 0) > 1)
  assert.deepEqual(withForeign, without)
})
