// Goal: decisions are read back with their transaction, features and newest label, and decisions that cannot be
// used are skipped with a reason. Method: real lakes of simulated rows, without Kafka.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../services/core/features/catalogue/feature-list.ts'
import { openDecided, type DecidedRow } from '../../../services/lake/index.ts'
import type { DecidedOptions } from '../../../services/lake/decided-rows.ts'
import type { StreamEvent } from '../../../services/producer/index.ts'
import { decidedLake } from '../../support/decided-lake.ts'

const WHOLE = { fromMs: -Infinity, endMs: Infinity, asOfMs: null, features: FEATURE_NAMES }

async function decidedOf(folder: string, more: Partial<DecidedOptions> = {}) {
  const source = await openDecided({ folder, ...WHOLE, ...more })
  try {
    const rows: DecidedRow[] = []
    for (const day of source.days) for await (const chunk of source.rows(day)) rows.push(...chunk)
    return { rows, leftOut: { ...source.leftOut }, asOfMs: source.asOfMs, span: source.span }
  } finally {
    await source.close()
  }
}

test('decisions come back by event time with transaction, features, score and outcome', async (t) => {
  const { folder, samples } = await decidedLake(t, { transactions: 2_000 })
  const { rows, leftOut } = await decidedOf(folder)
  const once = samples.filter(({ duplicateOfOffset }) => duplicateOfOffset === null)
  strictEqual(leftOut.duplicate, samples.length - once.length)
  const wanted = once.toSorted(
    (a, b) => a.transaction.eventTimeMs - b.transaction.eventTimeMs || a.offset - b.offset,
  )
  deepStrictEqual(
    rows.map(({ transaction, score, outcome, annotations }) => ({
      transaction,
      score,
      outcome,
      annotations,
    })),
    wanted.map(({ transaction, score, outcome, annotations }) => ({
      transaction,
      score,
      outcome,
      annotations,
    })),
  )
  for (const [index, { row, states }] of rows.entries()) {
    deepStrictEqual(row, wanted[index]?.row)
    deepStrictEqual(
      Array.from(states, (state) => state === 1),
      Array.from(row, (value) => Number.isNaN(value)),
    )
  }
})

test('only requested features are read', async (t) => {
  const { folder } = await decidedLake(t, { transactions: 200 })
  const [name = ''] = FEATURE_NAMES.slice(3)
  const { rows } = await decidedOf(folder, { features: [name] })
  const present = new Set(
    rows.flatMap(({ row }) => [...row.keys()].filter((at) => !Number.isNaN(row[at]))),
  )
  deepStrictEqual([...present], [3])
  strictEqual(rows[0]?.row.length, FEATURE_COUNT)
})

test('a range selects the event times within it', async (t) => {
  const { folder, samples } = await decidedLake(t, { transactions: 1_000 })
  const times = samples.map(({ transaction }) => transaction.eventTimeMs)
  const [fromMs, endMs] = [times[300] ?? 0, times[700] ?? 0]
  const { rows, span } = await decidedOf(folder, { fromMs, endMs })
  const wanted = samples.filter(
    ({ transaction: { eventTimeMs }, duplicateOfOffset }) =>
      duplicateOfOffset === null && eventTimeMs >= fromMs && eventTimeMs < endMs,
  )
  strictEqual(rows.length, wanted.length)
  deepStrictEqual(span, { firstMs: Math.min(...times), lastMs: Math.max(...times) })
})

test('the newest label known in time counts', async (t) => {
  const words = (events: readonly StreamEvent[]): readonly StreamEvent[] => {
    const [first] = events
    ok(first?.kind === 'transaction')
    const { id, card, eventTimeMs } = first.transaction
    const more = { merchant: null, terminal: null, device: null, ipNetwork: null }
    const word = (verdict: 'fraud' | 'genuine', ms: number, of = card): StreamEvent => ({
      kind: 'label',
      label: {
        ...{ transactionId: id, card: of, eventTimeMs, verdict, knownAtMs: eventTimeMs + ms },
        source: 'analyst',
        ...more,
      },
    })
    const transactions = events.filter(({ kind }) => kind === 'transaction')
    // A label of another card does not count for this transaction.
    return [...transactions, word('genuine', 2), word('fraud', 1), word('fraud', 9, 'other')]
  }
  const { folder, samples } = await decidedLake(t, { transactions: 300, change: words })
  const eventTimeMs = samples[0]?.transaction.eventTimeMs ?? 0
  const labelOf = async (asOfMs: number | null) => {
    const { rows } = await decidedOf(folder, { asOfMs })
    strictEqual(rows.filter(({ label }) => label !== null).length <= 1, true)
    return rows[0]?.label
  }
  deepStrictEqual(await labelOf(null), { verdict: 'genuine', knownAtMs: eventTimeMs + 2 })
  deepStrictEqual(await labelOf(eventTimeMs + 1), { verdict: 'fraud', knownAtMs: eventTimeMs + 1 })
  strictEqual(await labelOf(eventTimeMs), null)
})

test('rows of another feature list are skipped with a reason', async (t) => {
  const other = await decidedLake(t, { transactions: 200, featureListHash: 'another list' })
  const ofOther = await decidedOf(other.folder)
  strictEqual(ofOther.rows.length, 0)
  strictEqual(ofOther.leftOut.other_feature_list, 200 - ofOther.leftOut.duplicate)
})
