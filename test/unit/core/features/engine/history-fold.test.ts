// Goal: folding a whole history in memory gives the rows that a partition gives. Method: random streams, folded once by
// HistoryFold (which compacts and forgets) and once by a plain PartitionFold that keeps everything.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { HistoryFold } from '../../../../../services/core/features/engine/history-fold.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../../services/core/features/engine/partition-fold.ts'
import { SIMULATION_START_MS } from '../../../../../tools/simulator/options.ts'
import { simulate } from '../../../../../tools/simulator/simulate.ts'
import {
  DAY_MS,
  HOUR_MS,
  crowdedGapsMs,
  itemsOf,
  neverLate,
  stepsOf,
  type StreamItem,
} from '../../../../support/feature-streams.ts'
import { foldEntries, PlainState } from '../../../../support/fold-entries.ts'
import { holds, holdsForLong } from '../../../../support/property.ts'

function rowsOfHistory(items: readonly StreamItem[], partitionCount: number): readonly string[] {
  const fold = new HistoryFold({ rates: DEFAULT_RATES, partitionCount })
  const row = new Float64Array(FEATURE_COUNT)
  const rows: string[] = []
  for (const item of items) {
    if (item.kind === 'label') fold.label(item.label)
    else {
      const folded = fold.transaction(item.transaction, row, 0)
      rows.push(`${row.join()} ${folded.annotations.join()}`)
    }
  }
  return rows
}

function rowsOfPartition(items: readonly StreamItem[]): readonly string[] {
  const fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  const state = new PlainState()
  const rows: string[] = []
  let labelOffset = 0
  for (const [offset, item] of items.entries()) {
    if (item.kind === 'label') {
      fold.applyLabel(item.label, labelOffset, state)
      labelOffset += 1
      continue
    }
    for (const { row, annotations } of foldEntries(
      [],
      [{ ...item, offset }],
      labelOffset,
      fold,
      state,
    )) {
      rows.push(`${row.join()} ${annotations.join()}`)
    }
  }
  return rows
}

test('a history in one partition gives the rows and annotations of a partition that keeps everything', () => {
  const steps = stepsOf({
    stepsMin: 200,
    stepsMax: 400,
    cards: 2,
    terminals: 2,
    gapsMs: crowdedGapsMs,
    latesMs: neverLate,
    backs: fc.constant(0),
  })
  holdsForLong(
    10,
    fc.property(steps, (stream) => {
      const items = itemsOf(stream)
      assert.deepEqual(rowsOfHistory(items, 1), rowsOfPartition(items))
    }),
  )
})

test('what is forgotten on a stream of months changes no row', () => {
  const gapsMs = fc.oneof(
    fc.integer({ min: 0, max: 3 * DAY_MS }),
    fc.constantFrom(HOUR_MS, 7 * DAY_MS, 30 * DAY_MS, 37 * DAY_MS),
  )
  const steps = stepsOf({
    stepsMin: 50,
    stepsMax: 150,
    cards: 6,
    terminals: 4,
    gapsMs,
    latesMs: neverLate,
    backs: fc.constant(0),
  })
  holds(
    15,
    fc.property(steps, (stream) => {
      // Repeats are known for as long as state is kept, which is the one thing that may differ here.
      const items = itemsOf(
        stream.map((step) => ({ ...step, repeatsId: 0, repeatsIntent: 0, labelEarlyMs: 0 })),
      )
      assert.deepEqual(rowsOfHistory(items, 1), rowsOfPartition(items))
    }),
  )
})

test('the number of partitions changes no row of a simulated history', () => {
  const untilMs = SIMULATION_START_MS + 12 * DAY_MS
  const items = [...simulate({ seed: 3, cards: 40, terminals: 15, merchants: 20, untilMs })]
  const rows = rowsOfHistory(items, 1)
  assert.ok(rows.length > 1_000)
  assert.deepEqual(rowsOfHistory(items, 4), rows)
  assert.deepEqual(rowsOfHistory(items, 7), rows)
})

test('memory follows the cards and terminals of the last weeks, not all there ever were', () => {
  const fold = new HistoryFold({ rates: DEFAULT_RATES })
  const row = new Float64Array(FEATURE_COUNT)
  const [first] = [...simulate({ seed: 1, cards: 1, transactionsMax: 1 })]
  assert.ok(first?.kind === 'transaction')
  for (let day = 0; day < 400; day += 1) {
    const eventTimeMs = SIMULATION_START_MS + day * DAY_MS
    const names = { id: `tx-${day}`, card: `card-${day}`, terminal: `term-${day}` }
    fold.transaction({ ...first.transaction, ...names, eventTimeMs }, row, 0)
  }
  // 46 days of reach, lateness and sweeping, one card and one terminal a day.
  assert.ok(fold.size <= 2 * 48, `${fold.size} values are kept`)
})
