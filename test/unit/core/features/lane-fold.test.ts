// Goal: the rows of LaneFold are what the definitions say. Method: random streams that aim at edges, each
// transaction compared with an oracle that filters the list of everything before it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/currency.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../../../services/core/features/feature-list.ts'
import { LANE_START, LaneFold, type Folded } from '../../../../services/core/features/lane-fold.ts'
import {
  DAY_MS,
  HOUR_MS,
  itemsOf,
  neverLate,
  stepsOf,
  type StreamItem,
} from '../../../support/feature-streams.ts'
import { NaiveFeatures, type NaiveReading } from '../../../support/naive-features.ts'
import { holds } from '../../../support/property.ts'
import { PlainState } from '../../../support/stored-lanes.ts'

/** Another formula for the same distance: the last digits may differ. */
const SPEED_TOLERANCE = 1e-6

interface Compared {
  readonly folded: Folded
  readonly naive: NaiveReading
  readonly values: ReadonlyMap<string, number>
}

/** Folds the stream both ways and compares every transaction. */
function compare(items: readonly StreamItem[]): readonly Compared[] {
  const fold = new LaneFold(DEFAULT_RATES, LANE_START)
  const state = new PlainState()
  const oracle = new NaiveFeatures(DEFAULT_RATES)
  const row = new Float64Array(FEATURE_COUNT)
  const compared: Compared[] = []
  let labelOffset = 0
  for (const [offset, item] of items.entries()) {
    if (item.kind === 'label') {
      fold.applyLabel(item.label, labelOffset, state)
      oracle.label(0, item.label)
      labelOffset += 1
      continue
    }
    const naive = oracle.transaction(0, offset, item.transaction)
    const folded = fold.applyTransaction(item.transaction, offset, labelOffset, state, row, 0)
    const values = new Map(FEATURE_NAMES.map((name, index) => [name, row[index] ?? NaN]))
    compareMarks(folded, naive)
    if (naive.duplicateOf === null) compareRow(values, folded, naive)
    compared.push({ folded, naive, values })
  }
  return compared
}

function compareMarks(folded: Folded, naive: NaiveReading): void {
  assert.equal(folded.duplicateOfOffset, naive.duplicateOf)
  const marks = folded.marks.filter((mark) => mark !== 'windows_approximate')
  const expected =
    naive.duplicateOf === null
      ? [
          ...(naive.isRetry ? ['retry'] : []),
          ...(naive.isLate ? ['late'] : []),
          ...(naive.isBehindReach ? ['behind_reach'] : []),
          ...(naive.isAfterWatermark ? ['after_watermark'] : []),
        ]
      : ['duplicate']
  assert.deepEqual(marks, expected)
}

function compareRow(
  values: ReadonlyMap<string, number>,
  folded: Folded,
  naive: NaiveReading,
): void {
  const isApproximate = folded.marks.includes('windows_approximate')
  assert.deepEqual([...values.keys()].sort(), [...naive.features.keys()].sort())
  for (const [name, expected] of naive.features) {
    const value = values.get(name) ?? NaN
    if (name === 'card_speed_kmh') {
      const isClose = Math.abs(value - expected) <= SPEED_TOLERANCE * Math.max(1, expected)
      assert.ok(Object.is(value, expected) || isClose, `${name}: ${value}, expected ${expected}`)
    } else if (isApproximate && name !== 'amount') {
      compareBounds(name, value, values, naive)
    } else {
      assert.equal(value, expected, name)
    }
  }
}

/** A coarse count may miss the hour at the old end and take in the hour at the new one, and no more. */
function compareBounds(
  name: string,
  value: number,
  values: ReadonlyMap<string, number>,
  naive: NaiveReading,
): void {
  const count = naive.counts.get(name)
  const sum = naive.sums.get(name)
  const frauds = naive.frauds.get(name)
  if (count !== undefined) {
    assert.ok(
      value >= count.low && value <= count.high,
      `${name}: ${value} for ${count.exact}, which may be ${count.low} to ${count.high}`,
    )
  } else if (sum !== undefined) {
    const own = values.get(name.replace('mean_amount', 'count')) ?? NaN
    if (own === 0) assert.ok(Number.isNaN(value), name)
    else {
      const minor = Math.round(value * own * 100)
      assert.ok(minor >= sum.low && minor <= sum.high, `${name}: ${minor} minor units`)
    }
  } else if (frauds !== undefined) {
    const own = values.get(name.replace('fraud_share', 'count')) ?? NaN
    assert.equal(value, own === 0 ? 0 : Math.min(1, frauds / own), name)
  } else if (name !== 'card_amount_ratio_30d') {
    assert.equal(value, naive.features.get(name), name)
  }
}

test('rows and marks are those of the definitions, at every edge of every window', () => {
  holds(
    400,
    fc.property(stepsOf({ stepsMax: 40, cards: 2, terminals: 2 }), (steps) => {
      for (const { folded } of compare(itemsOf(steps))) {
        assert.ok(!folded.marks.includes('windows_approximate'), 'nothing is crowded here')
      }
    }),
  )
})

test('a terminal with crowded hours is counted to within the hours at the ends of the windows', () => {
  let approximateCount = 0
  fc.assert(
    fc.property(
      stepsOf({
        stepsMin: 60,
        stepsMax: 160,
        cards: 20,
        terminals: 1,
        labelShare: 0.2,
        latesMs: fc.oneof({ weight: 12, arbitrary: neverLate }, fc.constant(HOUR_MS)),
        gapsMs: fc.oneof(
          { weight: 60, arbitrary: fc.integer({ min: 0, max: 60_000 }) },
          fc.constantFrom(0, HOUR_MS, DAY_MS, 6 * DAY_MS, 7 * DAY_MS),
        ),
      }),
      (steps) => {
        const compared = compare(itemsOf(steps))
        approximateCount += compared.filter(({ folded }) =>
          folded.marks.includes('windows_approximate'),
        ).length
      },
    ),
  )
  assert.ok(approximateCount > 0, 'no stream was crowded: the property tested nothing')
})

test('a card with more events than are kept singly is counted to within one hour per window', () => {
  let approximateCount = 0
  holds(
    8,
    fc.property(
      stepsOf({
        stepsMin: 600,
        stepsMax: 700,
        cards: 1,
        terminals: 0,
        labelShare: 0,
        gapsMs: fc.oneof(
          { weight: 200, arbitrary: fc.integer({ min: 0, max: 12_000 }) },
          fc.constantFrom(HOUR_MS, DAY_MS, 6 * DAY_MS),
        ),
        latesMs: fc.oneof(
          { weight: 40, arbitrary: neverLate },
          { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 * HOUR_MS }) },
          fc.constantFrom(1, HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS),
        ),
      }),
      (steps) => {
        const compared = compare(itemsOf(steps))
        approximateCount += compared.filter(({ folded }) =>
          folded.marks.includes('windows_approximate'),
        ).length
      },
    ),
  )
  assert.ok(approximateCount > 0, 'no stream was crowded: the property tested nothing')
})
