// Goal: the outcome by costs has the smallest expected loss. Method: compare with independently computed losses.

import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cheapestOutcome, scoreAtWhich } from '../../../../services/core/policy/score-ruling.ts'
import type { AlertCosts } from '../../../../services/core/scoring/alert-costs.ts'
import { OUTCOMES } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'

const share = fc.integer({ min: 0, max: 1_000 }).map((thousandths) => thousandths / 1_000)
const costs: fc.Arbitrary<AlertCosts> = fc.record({
  alertMinor: fc.integer({ min: 0, max: 10_000 }),
  wrongBlockFixedMinor: fc.integer({ min: 0, max: 100_000 }),
  wrongBlockShare: share,
  flagSavesShare: share,
})
const amount = fc.integer({ min: 0, max: 1_000_000 })

/** Losses over 1,000 such payments, of which a share of `score` is fraud. */
function lossOfThousand(outcome: string, score: number, amountMinor: number, of: AlertCosts) {
  const frauds = 1_000 * score
  switch (outcome) {
    case 'approve':
      return frauds * amountMinor
    case 'flag':
      return 1_000 * of.alertMinor + frauds * (amountMinor - of.flagSavesShare * amountMinor)
    default:
      return (1_000 - frauds) * (of.wrongBlockFixedMinor + of.wrongBlockShare * amountMinor)
  }
}

test('no outcome loses less than the chosen one, and no milder one loses as little', () => {
  holds(
    2_000,
    fc.property(share, amount, costs, (score, amountMinor, of) => {
      const losses = OUTCOMES.map((outcome) => lossOfThousand(outcome, score, amountMinor, of))
      const least = Math.min(...losses)
      const taken = cheapestOutcome(score, amountMinor, of)
      const tolerance = 1e-6 * Math.max(1, ...losses)
      const loss = losses[OUTCOMES.indexOf(taken)] ?? NaN
      ok(loss <= least + tolerance, `${taken} loses ${loss}, the least is ${least}`)
      const first = OUTCOMES.find((_, index) => (losses[index] ?? NaN) < least - tolerance)
      strictEqual(first, undefined)
    }),
  )
})

test('the threshold of an outcome is the score at which the chosen outcome changes', () => {
  holds(
    2_000,
    fc.property(share, amount, costs, (score, amountMinor, of) => {
      const taken = OUTCOMES.indexOf(cheapestOutcome(score, amountMinor, of))
      for (const [index, outcome] of (['flag', 'block'] as const).entries()) {
        const begins = scoreAtWhich(outcome, amountMinor, of)
        if (Math.abs(score - begins) < 1e-9) continue
        strictEqual(taken > index, score > begins, `${outcome} begins at ${begins}`)
      }
    }),
  )
})

test('a small amount is not worth an alert, a large one is, and a certain fraud is blocked', () => {
  const of = {
    alertMinor: 400,
    wrongBlockFixedMinor: 2_500,
    wrongBlockShare: 0.1,
    flagSavesShare: 0.6,
  }
  strictEqual(cheapestOutcome(0.2, 1_000, of), 'approve')
  strictEqual(cheapestOutcome(0.1, 50_000, of), 'flag')
  strictEqual(cheapestOutcome(0.99, 50_000, of), 'block')
})
