import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../services/core/currency.ts'
import { isSluiceError } from '../../../services/core/errors.ts'
import type { Label, Transaction } from '../../../services/core/transaction.ts'
import { simulate } from '../../../services/producer/index.ts'
import { collectDataset, type HistoryEvent } from '../../../services/trainer/dataset.ts'
import { splitByTime, type SplitInput } from '../../../services/trainer/split.ts'

const DAY_MS = 86_400_000
const OPTIONS = { rates: DEFAULT_RATES, onProgress: () => undefined }

function paymentOf(id: string, eventTimeMs: number, currency = 'EUR'): Transaction {
  const [event] = [...simulate({ seed: 1, transactionsMax: 1 })]
  assert.ok(event?.kind === 'transaction')
  return { ...event.transaction, id, eventTimeMs, currency, intentId: null }
}

function labelOf(of: Transaction, knownAtMs: number, verdict: Label['verdict']): HistoryEvent {
  const { id: transactionId, card, eventTimeMs, merchant, terminal } = of
  const rest = { merchant, terminal, device: null, ipNetwork: null, source: 'analyst' } as const
  return {
    kind: 'label',
    label: { transactionId, card, eventTimeMs, knownAtMs, verdict, ...rest },
  }
}

function eventOf(transaction: Transaction): HistoryEvent {
  return { kind: 'transaction', transaction }
}

test('a transaction is fraud when the last word on it says so', async () => {
  const [one, two, three] = ['a', 'b', 'c'].map((id, index) =>
    paymentOf(id, DAY_MS * (20_000 + index)),
  )
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  const laterMs = DAY_MS * 20_010
  const dataset = await collectDataset(
    [
      ...[one, two, three].map(eventOf),
      labelOf(one, laterMs, 'fraud'),
      labelOf(two, laterMs, 'fraud'),
      labelOf(two, laterMs + 1, 'genuine'),
    ],
    OPTIONS,
  )
  assert.deepEqual([...dataset.truth], [1, 0, 0])
  assert.equal(dataset.facts.labels, 3)
})

test('what was sent twice and what has no rate is counted and left out', async () => {
  const one = paymentOf('a', DAY_MS * 20_000)
  const foreign = paymentOf('b', DAY_MS * 20_001, 'XTS')
  const dataset = await collectDataset([one, one, foreign].map(eventOf), OPTIONS)
  assert.equal(dataset.rowCount, 1)
  assert.equal(dataset.facts.skipped.transaction_repeated, 1)
  assert.equal(dataset.facts.skipped.transaction_without_rate, 1)
})

/** One row an hour, every tenth a fraud. */
function hourly(days: number): SplitInput {
  const rowCount = days * 24
  return {
    rowCount,
    eventTimesMs: Float64Array.from({ length: rowCount }, (_, row) => row * 3_600_000),
    truth: Uint8Array.from({ length: rowCount }, (_, row) => (row % 10 === 0 ? 1 : 0)),
  }
}

const SPLIT = {
  warmUpMs: 5 * DAY_MS,
  gapMs: 7 * DAY_MS,
  validationShare: 0.2,
  testShare: 0.2,
}

test('periods follow each other with warm-up and gaps left out, and nothing is in two of them', () => {
  const dataset = hourly(120)
  const { train, validation, test: last } = splitByTime(dataset, SPLIT)
  assert.equal(train.fromMs, 5 * DAY_MS)
  assert.equal(validation.fromMs, train.endMs + 7 * DAY_MS)
  assert.equal(last.fromMs, validation.endMs + 7 * DAY_MS)
  for (const period of [train, validation, last]) {
    const times = [...period.indices].map((row) => dataset.eventTimesMs[row] ?? NaN)
    assert.ok(times.every((timeMs) => timeMs >= period.fromMs && timeMs < period.endMs))
    assert.equal(times.length, period.transactions)
    assert.equal(
      period.frauds,
      period.indices.reduce((sum, row) => sum + (dataset.truth[row] ?? 0), 0),
    )
  }
  assert.equal(last.indices.at(-1), dataset.rowCount - 1)
})

test('a history too short or with too few frauds is refused with its numbers', () => {
  assert.throws(
    () => splitByTime(hourly(19), SPLIT),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') &&
      /spans 19\.0 days/.test(error.message),
  )
  const poor = hourly(120)
  poor.truth.fill(0, 100 * 24)
  assert.throws(
    () => splitByTime(poor, SPLIT),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && /test 0 of \d+/.test(error.message),
  )
})
