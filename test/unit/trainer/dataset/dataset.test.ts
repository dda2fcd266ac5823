import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { type RateTable } from '../../../../services/core/rates/rate-table.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import type { Label, Transaction } from '../../../../services/core/transaction.ts'
import { simulate } from '../../../../tools/simulator/simulate.ts'
import {
  collectDataset,
  type HistoryEvent,
  skipText,
} from '../../../../services/trainer/dataset/dataset.ts'
import { splitByTime, type SplitInput } from '../../../../services/trainer/dataset/split.ts'

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

test('a transaction is a fraud when its latest label says so', async () => {
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

test('repeated transactions and those without a rate are counted and left out', async () => {
  const one = paymentOf('a', DAY_MS * 20_000)
  const foreign = paymentOf('b', DAY_MS * 20_001, 'XTS')
  const dataset = await collectDataset([one, one, foreign].map(eventOf), OPTIONS)
  assert.equal(dataset.rowCount, 1)
  assert.equal(dataset.facts.skipped.transaction_repeated, 1)
  assert.equal(dataset.facts.skipped.transaction_without_rate, 1)
})

test('a label may come before its transaction, and a label without a transaction is counted', async () => {
  const one = paymentOf('a', DAY_MS * 20_000)
  const never = paymentOf('z', DAY_MS * 20_001)
  const dataset = await collectDataset(
    [
      labelOf(one, DAY_MS * 20_002, 'fraud'),
      labelOf(never, DAY_MS * 20_002, 'fraud'),
      eventOf(one),
    ],
    OPTIONS,
  )
  assert.deepEqual([...dataset.truth], [1])
  assert.equal(dataset.facts.skipped.label_of_unknown_transaction, 1)
})

test('the later of two conflicting labels wins: at the same moment it is counted as a clash, otherwise as a correction', async () => {
  const [one, two] = ['a', 'b'].map((id) => paymentOf(id, DAY_MS * 20_000))
  assert.ok(one !== undefined && two !== undefined)
  const knownMs = DAY_MS * 20_010
  const dataset = await collectDataset(
    [
      ...[one, two].map(eventOf),
      labelOf(one, knownMs, 'genuine'),
      labelOf(one, knownMs, 'fraud'),
      labelOf(one, knownMs, 'fraud'),
      labelOf(two, knownMs, 'fraud'),
      labelOf(two, knownMs + 1, 'genuine'),
    ],
    OPTIONS,
  )
  assert.deepEqual([...dataset.truth], [1, 0])
  assert.equal(dataset.facts.skipped.label_clashes, 1)
  assert.equal(dataset.facts.correctedLabels, 1)
  assert.deepEqual(dataset.facts.labelDelay, {
    medianMs: 10 * DAY_MS,
    p90Ms: 10 * DAY_MS,
    maxMs: 10 * DAY_MS + 1,
  })
})

test('a label of another card or time, without a verdict or without numbers changes no truth and is counted', async () => {
  const one = paymentOf('a', DAY_MS * 20_000)
  const knownMs = DAY_MS * 20_010
  const dataset = await collectDataset(
    [
      eventOf(one),
      labelOf({ ...one, card: `${one.card}x` }, knownMs, 'fraud'),
      labelOf({ ...one, eventTimeMs: one.eventTimeMs + 1 }, knownMs, 'fraud'),
      labelOf(one, knownMs, 'unknown'),
      labelOf(one, NaN, 'fraud'),
    ],
    OPTIONS,
  )
  assert.deepEqual([...dataset.truth], [0])
  const { skipped, labels } = dataset.facts
  assert.equal(labels, 4)
  assert.equal(skipped.label_of_other_card_or_time, 2)
  assert.equal(skipped.label_without_verdict, 1)
  assert.equal(skipped.label_not_finite, 1)
})

test('a transaction whose amount or time is not a number is left out, counted, and changes no feature', async () => {
  const [one, two] = ['a', 'b'].map((id, index) => paymentOf(id, DAY_MS * 20_000 + index))
  assert.ok(one !== undefined && two !== undefined)
  const broken = [
    { ...one, id: 'x', amountMinor: NaN },
    { ...one, id: 'y', amountMinor: Infinity },
    { ...one, id: 'z', eventTimeMs: NaN },
  ]
  const clean = await collectDataset([one, two].map(eventOf), OPTIONS)
  const dataset = await collectDataset([one, ...broken, two].map(eventOf), OPTIONS)
  assert.equal(dataset.facts.skipped.transaction_not_finite, 3)
  assert.equal(dataset.digest, clean.digest)
})

test('a transaction with an infinite feature, here by an unbounded rate, is left out and counted', async () => {
  const [one, two] = [paymentOf('a', DAY_MS * 20_000), paymentOf('b', DAY_MS * 20_001, 'XTS')]
  const rates: RateTable = {
    ...DEFAULT_RATES,
    toReferenceMinor: (amountMinor, currency, timeMs) =>
      currency === 'XTS' ? Infinity : DEFAULT_RATES.toReferenceMinor(amountMinor, currency, timeMs),
  }
  const { facts } = await collectDataset([one, two].map(eventOf), { ...OPTIONS, rates })
  assert.equal(facts.transactions, 1)
  assert.equal(facts.skipped.feature_not_finite, 1)
})

test('messages that the source could not read are counted with the rest, in one sentence', async () => {
  const { facts } = await collectDataset([eventOf(paymentOf('a', DAY_MS * 20_000))], {
    ...OPTIONS,
    unreadable: () => 4,
  })
  assert.equal(facts.skipped.unreadable, 4)
  assert.equal(skipText(facts.skipped), 'left out: 4 unreadable')
  assert.equal(skipText({ ...facts.skipped, unreadable: 0 }), null)
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

test('periods follow each other without warm-up and gaps, and no row is in two of them', () => {
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

test('a history that is too short or has too few frauds is refused with its numbers', () => {
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

for (const [what, label, said] of [
  ['no frauds', 0, /No transaction is labelled as fraud \(train 0 of \d+/],
  ['nothing but frauds', 1, /Every transaction is labelled as fraud \(train \d+ of \d+/],
] as const) {
  test(`a history with ${what} is refused with a message of its own`, () => {
    const dataset = hourly(120)
    dataset.truth.fill(label)
    assert.throws(
      () => splitByTime(dataset, SPLIT),
      (error) => isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && said.test(error.message),
    )
  })
}

test('an empty history, and one with too few transactions for training, are refused with their numbers', () => {
  assert.throws(
    () => splitByTime(hourly(0), SPLIT),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && /0 transactions/.test(error.message),
  )
  const sparse = hourly(80)
  assert.throws(
    () => splitByTime(sparse, SPLIT),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') &&
      /Training needs at least 1024 transactions; frauds found: train \d+ of \d+/.test(
        error.message,
      ),
  )
})
