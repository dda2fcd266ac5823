// Goal: what a net is told is worth its inputs. Method: feature rows made by hand, in which one feature says which rows are
// frauds, one says nothing, and amounts are large for what is bought.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../services/core/features/catalogue/feature-list.ts'
import { inputCountOf, type FeatureScaling } from '../../../services/core/scoring/scaling.ts'
import { fitScaling } from '../../../services/trainer/fit-scaling.ts'
import { randomOf } from '../../../services/trainer/shuffle.ts'

const ROWS = 6_000

interface Made {
  readonly rows: Float64Array
  readonly indices: Uint32Array
  readonly truth: Uint8Array
}

/** Rows whose features are absent but for those that are given. */
function rowsWith(valuesOf: (row: number) => Readonly<Record<string, number>>): Made {
  const next = randomOf(7)
  const rows = new Float64Array(ROWS * FEATURE_COUNT).fill(NaN)
  const truth = Uint8Array.from({ length: ROWS }, () => (next() < 0.05 ? 1 : 0))
  for (let row = 0; row < ROWS; row += 1) {
    for (const [name, value] of Object.entries(valuesOf(row))) {
      rows[row * FEATURE_COUNT + FEATURE_NAMES.indexOf(name)] = value
    }
  }
  return { rows, truth, indices: Uint32Array.from({ length: ROWS }, (_, row) => row) }
}

function scalingOf({ rows, indices, truth }: Made, feature: string): FeatureScaling {
  const found = fitScaling(rows, indices, truth).find((each) => each.feature === feature)
  ok(found !== undefined)
  return found
}

test('a feature that tells frauds has steps and ramps, one that tells nothing is one number', () => {
  const next = randomOf(1)
  const made = rowsWith(() => ({
    card_count_7d: Math.floor(next() * 40),
    card_sum_7d: next() * 100,
  }))
  const at = FEATURE_NAMES.indexOf('card_count_7d')
  for (const row of made.indices) {
    if (made.truth[row] === 1) made.rows[row * FEATURE_COUNT + at] = 30 + Math.floor(next() * 15)
  }
  const told = scalingOf(made, 'card_count_7d')
  ok(told.steps.length > 0 && told.ramps.length > 2, JSON.stringify(told))
  const untold = scalingOf(made, 'card_sum_7d')
  deepStrictEqual([untold.steps, untold.ramps, inputCountOf([untold])], [[], [], 1])
})

test('the less a feature tells, the more rows it takes until it is told in ramps', () => {
  const next = randomOf(3)
  const made = rowsWith(() => ({ card_count_7d: Math.floor(next() * 40) }))
  const at = FEATURE_NAMES.indexOf('card_count_7d')
  for (const row of made.indices) {
    const isLifted = made.truth[row] === 1 && next() < 0.9
    if (isLifted) made.rows[row * FEATURE_COUNT + at] = 20 + Math.floor(next() * 20)
  }
  const few = { ...made, indices: made.indices.slice(0, 1_000) }
  strictEqual(scalingOf(few, 'card_count_7d').ramps.length, 0)
  ok(scalingOf(made, 'card_count_7d').ramps.length > 2)
})

test('a code keeps its inputs whatever it tells by itself, and the amount goes by it', () => {
  const next = randomOf(2)
  const made = rowsWith((row) => {
    const isGrocer = row % 2 === 0
    return { merchant_category: isGrocer ? 5_411 : 5_944, amount: next() * (isGrocer ? 50 : 5_000) }
  })
  deepStrictEqual(scalingOf(made, 'merchant_category').ramps, [5_411, 5_944])
  const { byCode } = scalingOf(made, 'amount')
  ok(byCode !== null)
  deepStrictEqual([byCode.feature, byCode.codes], ['merchant_category', [5_411, 5_944]])
  const [grocers = [], jewellers = [], all = []] = byCode.edges
  ok((grocers.at(-1) ?? 0) <= 50 && (jewellers.at(-1) ?? 0) > 4_900, JSON.stringify(byCode))
  ok((all.at(-1) ?? 0) > 4_900)
})

test('without codes an amount goes by none', () => {
  const next = randomOf(2)
  const made = rowsWith(() => ({ amount: next() * 50 }))
  strictEqual(scalingOf(made, 'amount').byCode, null)
})
