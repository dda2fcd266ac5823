// Goal: a search ends at a change that is enough and whose neighbour, one part nearer to the value, is not. Method: any
// threshold on the path, answered by a step function; then any outcomes along the path.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  beginSearch,
  contenders,
  COUNTERFACTUAL_PARTS,
  COUNTERFACTUAL_ROUNDS,
  isMilder,
  jointChange,
  leastChange,
  narrowed,
  trialsOf,
  valueAt,
  type Answer,
  type FlipSearch,
} from '../../../../services/core/decision/counterfactual.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import { holds } from '../../../support/property.ts'

const AMOUNT = FEATURE_NAMES.indexOf('amount')
const COUNT = FEATURE_NAMES.indexOf('card_count_1d')
const HOUR = FEATURE_NAMES.indexOf('hour_of_day')
const NIGHT = FEATURE_NAMES.indexOf('is_night')
const CATEGORY = FEATURE_NAMES.indexOf('merchant_category')
const MILD: Answer = { score: 0.1, outcome: 'approve' }
const STRICT: Answer = { score: 0.9, outcome: 'flag' }

function run(search: FlipSearch, answer: (part: number) => Answer): FlipSearch {
  let found = search
  for (let round = 0; round < COUNTERFACTUAL_ROUNDS; round += 1) {
    const trials = trialsOf(found)
    found = narrowed(found, 'flag', trials, trials.map(answer))
  }
  return found
}

test('whatever is enough along the way, the end is, and the part before it is not', () => {
  holds(
    500,
    fc.property(fc.array(fc.boolean(), { minLength: 63, maxLength: 63 }), (inner) => {
      // The value itself is never enough, the baseline always is.
      const enough = [false, ...inner, true]
      const found = run(beginSearch(AMOUNT, 900, 30, MILD), (part) =>
        enough[part] === true ? MILD : STRICT,
      )
      assert.deepEqual(trialsOf(found), [])
      assert.equal(found.high - found.low, 1)
      assert.equal(enough[found.high], true)
      assert.equal(enough[found.low], false)
    }),
  )
})

test('where one threshold parts the way, the least change is found', () => {
  holds(
    100,
    fc.property(fc.integer({ min: 1, max: COUNTERFACTUAL_PARTS }), (from) => {
      const found = run(beginSearch(AMOUNT, 900, 30, MILD), (part) =>
        part >= from ? MILD : STRICT,
      )
      assert.equal(found.high, from)
    }),
  )
})

test('from absent to usual, and from yes to no, there is one step and nothing to try', () => {
  for (const search of [
    beginSearch(AMOUNT, NaN, 30, MILD),
    beginSearch(NIGHT, 1, 0, MILD),
    beginSearch(CATEGORY, 5_732, 5_411, MILD),
  ]) {
    assert.deepEqual(trialsOf(search), [])
    assert.equal(valueAt(search, search.high), search.baseline)
  }
})

test('counts stay whole, money is in cents, and nothing goes past the baseline value', () => {
  holds(
    200,
    fc.property(
      fc.constantFrom(AMOUNT, COUNT),
      fc.integer({ min: 0, max: 5_000 }),
      fc.integer({ min: 0, max: 5_000 }),
      fc.integer({ min: 0, max: COUNTERFACTUAL_PARTS }),
      (feature, value, baseline, part) => {
        const found = valueAt(beginSearch(feature, value, baseline, MILD), part)
        assert.ok(found >= Math.min(value, baseline) && found <= Math.max(value, baseline))
        const minor = feature === AMOUNT ? found * 100 : found
        assert.ok(Math.abs(minor - Math.round(minor)) < 1e-6)
      },
    ),
  )
})

test('a row that could not be scored is no milder outcome', () => {
  assert.equal(isMilder({ score: NaN, outcome: 'approve' }, 'flag'), false)
  assert.equal(isMilder(MILD, 'flag'), true)
  assert.equal(isMilder(MILD, 'approve'), false)
})

test('the shortest way is told, in words with its numbers; none when nothing is enough', () => {
  const far = { ...beginSearch(COUNT, 12, 3, MILD), high: 60 }
  const near = {
    ...beginSearch(AMOUNT, 900, 35.2, { score: 0.123, outcome: 'approve' as const }),
    high: 64,
  }
  const counterfactual = leastChange([{ ...far, high: COUNTERFACTUAL_PARTS + 1 }, near])
  assert.deepEqual(counterfactual, {
    feature: 'amount',
    value: 900,
    changedTo: 35.2,
    scoreThen: 0.123,
    outcomeThen: 'approve',
    text: 'with amount of this payment at 35.20 EUR instead of 900.00 EUR it would have scored 0.12: approve',
    also: [],
  })
  assert.equal(leastChange([far, near])?.feature, 'card_count_1d')
  const changes = [AMOUNT, COUNT, HOUR].map((feature) => ({ feature, value: 3 }))
  const row = new Float64Array(FEATURE_COUNT).fill(20)
  assert.equal(
    jointChange(row, changes, { score: 0.123, outcome: 'approve' })?.text,
    'with amount of this payment at 3.00 EUR instead of 20.00 EUR, payments of the card in the last day at 3 instead of 20 ' +
      'and time of day of the payment, local time at 03:00 instead of 20:00 it would have scored 0.12: approve',
  )
  assert.equal(leastChange([]), null)
})

test('searches that have lost are given up, and the shortest way is the same', () => {
  const part = fc.integer({ min: 1, max: COUNTERFACTUAL_PARTS })
  holds(
    500,
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (enough) => {
      const begun = enough.map((_, feature) => beginSearch(feature, 100, 0, MILD))
      const after = (search: FlipSearch): FlipSearch => {
        const trials = trialsOf(search)
        const answer = (at: number): Answer => (at >= (enough[search.feature] ?? 0) ? MILD : STRICT)
        return narrowed(search, 'flag', trials, trials.map(answer))
      }
      let all: readonly FlipSearch[] = begun
      let left: readonly FlipSearch[] = begun
      for (let round = 0; round < COUNTERFACTUAL_ROUNDS; round += 1) {
        all = all.map(after)
        left = contenders(left.map(after))
      }
      assert.deepEqual(leastChange(left), leastChange(all))
    }),
  )
  const [near, far] = [beginSearch(COUNT, 12, 3, MILD), beginSearch(AMOUNT, 900, 35.2, MILD)]
  assert.deepEqual(
    contenders([
      { ...near, high: 16 },
      { ...far, low: 16 },
    ]),
    [{ ...near, high: 16 }],
  )
})
