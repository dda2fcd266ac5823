// Goal: no other pair of thresholds costs less. Method: all pairs are tried on small tables, with sums written
// independently.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DEFAULT_ALERT_COSTS,
  costFigures,
  totalMinor,
  type AlertCosts,
  type CostedRows,
} from '../../../../services/core/scoring/alert-costs.ts'
import {
  cheapestThresholds,
  DEFAULT_THRESHOLD_RULES,
  chooseThresholds,
} from '../../../../services/trainer/fit/fit-thresholds.ts'
import { atThreshold } from '../../../../services/trainer/metrics.ts'

type Row = readonly [score: number, isFraud: boolean, amountMinor: number]

function rowsOf(table: readonly Row[]): CostedRows {
  return {
    scores: Float64Array.from(table, ([score]) => score),
    truth: Uint8Array.from(table, ([, isFraud]) => (isFraud ? 1 : 0)),
    amountsMinor: Float64Array.from(table, ([, , amountMinor]) => amountMinor),
  }
}

/** Cost of one payment, by its outcome. */
function costOf(
  [score, isFraud, amount]: Row,
  flag: number,
  block: number,
  of: AlertCosts,
): number {
  if (score >= block) {
    return of.alertMinor + (isFraud ? 0 : of.wrongBlockFixedMinor + of.wrongBlockShare * amount)
  }
  if (score >= flag) return of.alertMinor + (isFraud ? amount * (1 - of.flagSavesShare) : 0)
  return isFraud ? amount : 0
}

function tableCost(table: readonly Row[], flag: number, block: number, of: AlertCosts): number {
  return table.reduce((sum, row) => sum + costOf(row, flag, block, of), 0)
}

const SCORES = fc.oneof(
  fc.integer({ min: 0, max: 20 }).map((score) => score / 20),
  fc.constant(1),
)
const TABLE = fc.array(fc.tuple(SCORES, fc.boolean(), fc.integer({ min: 0, max: 30_000 })), {
  minLength: 1,
  maxLength: 25,
})
const COSTS = fc.record({
  alertMinor: fc.integer({ min: 0, max: 3_000 }),
  wrongBlockFixedMinor: fc.integer({ min: 0, max: 5_000 }),
  wrongBlockShare: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
  flagSavesShare: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
})

test('no other pair of thresholds is cheaper, and both are thresholds', () => {
  fc.assert(
    fc.property(TABLE, COSTS, (table, costs) => {
      const { flag, block } = cheapestThresholds(rowsOf(table), costs)
      assert.ok(flag > 0 && flag < block && block <= 1, `${flag}, ${block}`)
      const chosen = tableCost(table, flag, block, costs)
      // Scores are twentieths: from 1/80 on, steps of 1/80 put a threshold between and on all of them.
      for (let low = 1; low < 80; low += 1) {
        for (let high = low + 1; high <= 80; high += 1) {
          const other = tableCost(table, low / 80, high / 80, costs)
          assert.ok(chosen <= other + 1e-6, `${low / 80}, ${high / 80}: ${other} < ${chosen}`)
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('the figures add up to the costs of the single payments', () => {
  fc.assert(
    fc.property(TABLE, COSTS, fc.integer({ min: 1, max: 79 }), (table, costs, low) => {
      const thresholds = { flag: low / 80, block: (low + 1) / 80 }
      const figures = costFigures(rowsOf(table), thresholds, costs)
      const expected = tableCost(table, thresholds.flag, thresholds.block, costs)
      assert.ok(Math.abs(totalMinor(figures) - expected) < 1e-6)
    }),
  )
})

test('frauds of small value are not worth an alert, expensive ones among few genuine payments are blocked', () => {
  const table: readonly Row[] = [
    ...Array.from({ length: 20 }, (): Row => [0.9, true, 20_000]),
    [0.9, false, 5_000],
    ...Array.from({ length: 10 }, (): Row => [0.5, true, 8_000]),
    ...Array.from({ length: 15 }, (): Row => [0.5, false, 8_000]),
    ...Array.from({ length: 50 }, (): Row => [0.3, true, 600]),
    ...Array.from({ length: 500 }, (): Row => [0.1, false, 3_000]),
  ]
  const { flag, block, rule } = cheapestThresholds(rowsOf(table), DEFAULT_ALERT_COSTS)
  assert.deepEqual([flag, block], [0.4, 0.7])
  assert.match(rule, /an alert costs 5\.00, a wrong block 20\.00 and 50 % of the amount/)
})

test('the rule says when no alert, no block or no flag is worth its cost', () => {
  const ruleOf = (table: readonly Row[], change: Partial<AlertCosts>): string =>
    cheapestThresholds(rowsOf(table), { ...DEFAULT_ALERT_COSTS, ...change }).rule
  assert.match(ruleOf([[0.9, false, 100]], {}), /no alert paid for itself/)
  assert.match(ruleOf([[0.9, true, 90_000]], { flagSavesShare: 1 }), /no block was worth more/)
  assert.match(ruleOf([[0.9, true, 90_000]], {}), /every alert was worth a block/)
})

test('between neighbouring numbers there is still a flag threshold below the block threshold', () => {
  const upper = 0.5
  const lower = upper - 2 ** -54
  const table: readonly Row[] = [
    [upper, true, 90_000],
    [lower, false, 90_000],
  ]
  const { flag, block } = cheapestThresholds(rowsOf(table), DEFAULT_ALERT_COSTS)
  assert.deepEqual([flag, block], [lower, upper])
})

/** `frauds` and `genuine` counts per score. */
function scoredFrom(steps: readonly (readonly [number, number, number])[]): {
  scores: Float64Array
  truth: Uint8Array
} {
  const scores: number[] = []
  const truth: number[] = []
  for (const [score, frauds, genuine] of steps) {
    for (let row = 0; row < frauds + genuine; row += 1) {
      scores.push(score)
      truth.push(row < frauds ? 1 : 0)
    }
  }
  return { scores: Float64Array.from(scores), truth: Uint8Array.from(truth) }
}

test('flag takes the lowest score within its precision and budget, block the lowest within its own', () => {
  const scored = scoredFrom([
    [0.9, 30, 1],
    [0.7, 10, 9],
    [0.5, 5, 12],
    [0.3, 5, 60],
    [0.1, 0, 9_900],
  ])
  const { flag, block, rule } = chooseThresholds(scored)
  assert.equal(flag, 0.4)
  assert.equal(block, 0.8)
  assert.match(rule, /precision >= 0\.5 and at most 1\.0 %.*precision >= 0\.9/)
})

test('without a score of enough precision a budget decides about flags, nothing is blocked, and the rule says so', () => {
  const scored = scoredFrom([
    [0.9, 5, 25],
    [0.5, 5, 20],
    [0.1, 20, 9_900],
  ])
  const { flag, block, rule } = chooseThresholds(scored)
  assert.equal(flag, 0.7)
  assert.equal(block, 1)
  assert.match(rule, /no score had precision.*block: never/)
})

test('block is above flag, both are scores, and no budget is broken, whatever the scores', () => {
  const counts = fc.integer({ min: 0, max: 60 })
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), counts, counts), {
    minLength: 1,
    maxLength: 30,
  })
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 20_000 }), (table, rest) => {
      const scored = scoredFrom([
        ...table.map(
          ([score, frauds, genuine]) =>
            [score / 100, frauds, genuine + 1] as [number, number, number],
        ),
        [0.001, 0, rest],
      ])
      const { flag, block } = chooseThresholds(scored)
      assert.ok(flag > 0 && flag < block && block <= 1, `${flag}, ${block}`)
      const blocked = atThreshold(scored, block)
      const isNever = block === 1
      assert.ok(isNever || blocked.alertShare <= DEFAULT_THRESHOLD_RULES.blockShareMax)
    }),
    // A model without any information.
    { examples: [[[[0, 0, 0]], 0]] },
  )
})
