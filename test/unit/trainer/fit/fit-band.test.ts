import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outcomeOf } from '../../../../services/core/decision/decide.ts'
import { shareAtMost } from '../../../../services/core/scoring/cascade.ts'
import {
  AGREEMENT_MIN,
  ALERT_AGREEMENT_MIN,
  CONFIDENCE,
  fitBand,
} from '../../../../services/trainer/fit/fit-band.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'

const THRESHOLDS = { flag: 0.5, block: 0.8 }

interface Scores {
  readonly draft: Float64Array
  readonly target: Float64Array
}

/** Scores of two nets that agree except for noise and a few rows that the draft misses. */
function scoresOf(seed: number, rowCount: number, blind: number): Scores {
  const next = randomOf(seed)
  const target = Float64Array.from({ length: rowCount }, () => {
    const kind = next()
    return kind < 0.15 ? 0.8 + 0.2 * next() : kind < 0.3 ? 0.5 + 0.3 * next() : 0.5 * next()
  })
  const draft = target.map((score, row) => {
    if (row < blind) return 0.02 * next()
    // Coarse, so that many rows share a score.
    return Math.round(100 * Math.max(0, Math.min(1, score + 0.6 * (next() - 0.5)))) / 100
  })
  return { draft, target }
}

/** Alerts that a band starting here would miss, counted row by row. */
function missedBelow({ draft, target }: Scores, verifyFrom: number) {
  const outcomes = Array.from(target, (score) => outcomeOf(score, THRESHOLDS))
  const isMissed = (row: number): boolean => (draft[row] ?? 0) < verifyFrom
  const of = (outcome: 'flag' | 'block') => {
    const rows = outcomes.flatMap((found, row) => (found === outcome ? [row] : []))
    return { all: rows.length, missed: rows.filter(isMissed).length }
  }
  return { flags: of('flag'), blocks: of('block') }
}

function bruteForce(scores: Scores): number {
  const starts = [...new Set(Array.from(scores.draft, (score) => Math.min(score, THRESHOLDS.flag)))]
  const isSure = (missed: number, all: number, least: number): boolean =>
    1 - shareAtMost(missed, all, CONFIDENCE) >= least
  const sure = starts.filter((start) => {
    const { flags, blocks } = missedBelow(scores, start)
    return (
      isSure(flags.missed + blocks.missed, scores.draft.length, AGREEMENT_MIN) &&
      isSure(flags.missed, flags.all, ALERT_AGREEMENT_MIN) &&
      isSure(blocks.missed, blocks.all, ALERT_AGREEMENT_MIN)
    )
  })
  return Math.max(0, ...sure)
}

test('the band starts where an exhaustive search says, and states what it misses', () => {
  const starts = new Set<number>()
  for (let seed = 1; seed <= 12; seed += 1) {
    const scores = scoresOf(seed, 3_200 + 400 * seed, seed % 3)
    const { verifyFrom, agreement, verifiedShare } = fitBand(
      scores.draft,
      scores.target,
      THRESHOLDS,
    )
    assert.equal(verifyFrom, bruteForce(scores), `seed ${seed}`)
    const { flags, blocks } = missedBelow(scores, verifyFrom)
    const { flags: flagCount, missedFlags, blocks: blockCount, missedBlocks } = agreement
    assert.deepEqual(
      [flagCount, missedFlags, blockCount, missedBlocks, agreement.differing],
      [flags.all, flags.missed, blocks.all, blocks.missed, flags.missed + blocks.missed],
    )
    const verified = scores.draft.filter((score) => score >= verifyFrom).length
    assert.ok(Math.abs(verifiedShare - verified / scores.draft.length) < 1e-12)
    assert.ok(agreement.overallAtLeast >= AGREEMENT_MIN)
    assert.ok(Math.min(agreement.flagsAtLeast, agreement.blocksAtLeast) >= ALERT_AGREEMENT_MIN)
    starts.add(verifyFrom)
  }
  assert.ok(starts.size > 3 && Math.max(...starts) > 0, [...starts].join())
})

test('with too few rows, flags or blocks for certainty, the target is always asked', () => {
  const cases = [
    scoresOf(1, 500, 0),
    { draft: new Float64Array(), target: new Float64Array() },
    // Enough rows, but the target blocks none.
    ((scores) => ({ ...scores, target: scores.target.map((score) => Math.min(0.79, score)) }))(
      scoresOf(1, 6_000, 0),
    ),
  ]
  for (const { draft, target } of cases) {
    const { verifyFrom, verifiedShare, agreement } = fitBand(draft, target, THRESHOLDS)
    assert.deepEqual([verifyFrom, verifiedShare, agreement.overallAtLeast], [0, 1, 1])
  }
})

test('whatever the draft alone would flag is always verified, even where validation has no such score', () => {
  const draft = Float64Array.from({ length: 6_000 }, (_, row) => (row % 2 === 0 ? 0.1 : 0.95))
  const target = draft.map((score, row) => (score < 0.5 ? 0.1 : row % 4 === 1 ? 0.6 : 0.9))
  assert.equal(fitBand(draft, target, THRESHOLDS).verifyFrom, THRESHOLDS.flag)
})
