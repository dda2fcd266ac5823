// Goal: a report matches the decisions. Method: batches decided by the real code, with amounts as scores.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../services/core/features/engine/partition-fold.ts'
import type { Label, Transaction } from '../../../../services/core/transaction.ts'
import { reportOf } from '../../../../services/scorer/batch/batch-report.ts'
import { decideBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import type { BatchReport } from '../../../../services/platform/metrics/batch-metrics.ts'
import type {
  PartitionEntry,
  PartitionLabel,
} from '../../../../services/scorer/batch/fold-batch.ts'
import { PlainState } from '../../../support/plain-state.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { DECIDE_BY_AMOUNT } from '../decide-by-amount.ts'

const STAGES_MS = { decode: 1, read: 2, features: 3, score: 4, write: 5, commit: 6, total: 21 }
const SCORED_AT_MS = fullTransaction.eventTimeMs + 30
const COMMITTED_AT_MS = fullTransaction.eventTimeMs + 50

function entryAt(offset: number, fields: Partial<Transaction>): PartitionEntry {
  const transaction = {
    ...fullTransaction,
    id: `tx-${offset}`,
    intentId: null,
    currency: 'EUR',
    ...fields,
  }
  return { kind: 'transaction', offset, timestampMs: transaction.eventTimeMs, transaction }
}

function labelOf(transactionId: string, fields: Partial<Label> = {}): PartitionLabel {
  const { card, eventTimeMs, merchant, terminal, device, ipNetwork } = fullTransaction
  const label: Label = {
    transactionId,
    card,
    eventTimeMs,
    knownAtMs: eventTimeMs + 5_000,
    verdict: 'fraud',
    source: 'analyst',
    merchant,
    terminal,
    device,
    ipNetwork,
    ...fields,
  }
  return { kind: 'label', offset: 0, label }
}

class PartitionProcessor {
  readonly #fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  readonly state = new PlainState()

  async report(
    entries: readonly PartitionEntry[],
    labels: readonly PartitionLabel[] = [],
    rejected: Parameters<typeof reportOf>[0]['rejected'] = [],
  ): Promise<BatchReport> {
    const { state } = this
    const decided = await decideBatch(
      { labels, entries, labelNextOffset: 0 },
      { fold: this.#fold, state, progress: [null] },
      0,
      DECIDE_BY_AMOUNT,
    )
    const oldestTimestampMs = entries.length === 0 ? null : fullTransaction.eventTimeMs
    const taken = { rejected, oldestTimestampMs }
    return reportOf(taken, decided, STAGES_MS, SCORED_AT_MS, COMMITTED_AT_MS)
  }
}

test('amounts are summed by outcome in the reference currency, of first decisions only', async () => {
  const report = await new PartitionProcessor().report([
    entryAt(1, { amountMinor: 1_000 }),
    entryAt(2, { amountMinor: 1_000, currency: 'USD' }),
    entryAt(3, { amountMinor: 9_500 }),
    entryAt(4, { amountMinor: 9_500, id: 'tx-3' }),
  ])
  deepStrictEqual(report.outcomes, { approve: 2, flag: 0, block: 2 })
  deepStrictEqual(report.amountsMinor, { approve: 1_920, flag: 0, block: 9_500 })
  deepStrictEqual([report.transactions, report.duplicates], [4, 1])
})

test('scores are those of scored decisions; the others say why they have none', async () => {
  const report = await new PartitionProcessor().report([
    entryAt(1, { amountMinor: 1_000 }),
    entryAt(2, { amountMinor: 20_000 }),
    entryAt(3, { amountMinor: 1_000, id: 'tx-1' }),
  ])
  deepStrictEqual(report.scores, [0.1])
  deepStrictEqual([...report.notScored].toSorted(), [
    ['duplicate', 1],
    ['invalid_score', 1],
  ])
  strictEqual(report.annotations.get('duplicate'), 1)
})

test('an alert is told with its first reason and where it belongs', async () => {
  const report = await new PartitionProcessor().report([
    entryAt(1, { amountMinor: 9_500, country: 'FR', channel: 'atm', merchantCategory: '6011' }),
    entryAt(2, { amountMinor: 100 }),
    entryAt(3, { amountMinor: 20_000, country: null, channel: null, merchantCategory: null }),
  ])
  deepStrictEqual(report.alerts, [
    {
      action: 'block',
      firstReason: 'amount',
      segments: { country: 'FR', channel: 'atm', category: '6011' },
    },
    {
      action: 'flag',
      firstReason: null,
      segments: { country: null, channel: null, category: null },
    },
  ])
  deepStrictEqual(report.eventToAlertMs, [50, 50])
  strictEqual(report.eventToScoreMs, 30)
})

test('a label meets what was decided for its transaction in an earlier batch', async () => {
  const partition = new PartitionProcessor()
  await partition.report([
    entryAt(1, { amountMinor: 1_000 }),
    entryAt(2, { amountMinor: 6_000 }),
    entryAt(3, { amountMinor: 9_500 }),
  ])
  const { labels } = await partition.report(
    [],
    [labelOf('tx-1', { verdict: 'genuine' }), labelOf('tx-2'), labelOf('tx-3')],
  )
  deepStrictEqual(labels, [
    { outcome: 'approve', verdict: 'genuine', delayMs: 5_000 },
    { outcome: 'flag', verdict: 'fraud', delayMs: 5_000 },
    { outcome: 'block', verdict: 'fraud', delayMs: 5_000 },
  ])
})

test('a label whose transaction the card does not hold meets an unknown outcome, and changes no card', async () => {
  const partition = new PartitionProcessor()
  await partition.report([entryAt(1, { amountMinor: 9_500 })])
  const { labels } = await partition.report(
    [entryAt(2, { amountMinor: 1_000 })],
    [
      labelOf('tx-2'),
      labelOf('tx-1', { card: 'card-of-nobody' }),
      { kind: 'watermark', offset: 1, timeMs: 5 },
    ],
  )
  deepStrictEqual(
    labels.map(({ outcome }) => outcome),
    ['unknown', 'unknown'],
    'a transaction of the same batch is decided after its labels; a watermark is no label',
  )
  strictEqual(partition.state.peekCard('card-of-nobody'), null)
})

test('a label without a terminal meets its outcome too', async () => {
  const partition = new PartitionProcessor()
  await partition.report([entryAt(1, { amountMinor: 9_500, terminal: null })])
  const { labels } = await partition.report([], [labelOf('tx-1', { terminal: null })])
  strictEqual(labels[0]?.outcome, 'block')
})

test('a currency without a rate is counted apart from other dead letters', async () => {
  const rejected = (['unknown_currency', 'malformed', 'unknown_currency'] as const).map(
    (reason) => ({
      topic: 'transactions' as const,
      reason,
      letter: undefined as never,
      headers: undefined,
      redrivenFrom: null,
    }),
  )
  const report = await new PartitionProcessor().report([], [], rejected)
  strictEqual(report.amountsWithoutRate, 2)
  strictEqual(report.deadLetters.length, 3)
})
