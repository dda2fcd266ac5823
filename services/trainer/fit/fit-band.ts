// Chooses the draft score from which the target is asked, so that the outcome of the cascade equals the target's for
// nearly all payments, and for nearly all of the target's flags and blocks, with a stated confidence.

import { outcomeOf, type Thresholds } from '../../core/decision/decide.ts'
import { shareAtMost, type Agreement } from '../../core/scoring/cascade.ts'
import { valueAt } from '../statistics.ts'

/** Shares of outcomes that must agree, and the confidence of that statement. */
export const AGREEMENT_MIN = 0.999
export const ALERT_AGREEMENT_MIN = 0.99
export const CONFIDENCE = 0.95

export interface Band {
  readonly verifyFrom: number
  readonly agreement: Agreement
  /** Share of the rows that the target verifies. */
  readonly verifiedShare: number
}

/**
 * The highest start of the band at which the bounds hold on these rows; 0, which always asks the target, when they
 * hold nowhere else. The band never starts above the flag threshold: every alert is verified.
 */
export function fitBand(
  draftScores: Float64Array,
  targetScores: Float64Array,
  thresholds: Thresholds,
): Band {
  const order = Uint32Array.from(draftScores.keys()).sort(
    (a, b) => valueAt(draftScores, a) - valueAt(draftScores, b) || a - b,
  )
  const rows = draftScores.length
  const all = count(targetScores, thresholds)
  let missedFlags = 0
  let missedBlocks = 0
  let best = bandOf({ verifyFrom: 0, below: 0, rows, ...all, missedFlags: 0, missedBlocks: 0 })
  for (const [rank, row] of order.entries()) {
    const score = valueAt(draftScores, row)
    // Other payments may score between the highest draft score below the flag threshold and the threshold itself.
    const verifyFrom = Math.min(score, thresholds.flag)
    // All rows below it keep their draft's approval.
    if (verifyFrom > best.verifyFrom) {
      const band = bandOf({ verifyFrom, below: rank, rows, ...all, missedFlags, missedBlocks })
      if (!holds(band.agreement)) break
      best = band
    }
    if (score >= thresholds.flag) break
    const outcome = outcomeOf(valueAt(targetScores, row), thresholds)
    if (outcome === 'flag') missedFlags += 1
    if (outcome === 'block') missedBlocks += 1
  }
  return best
}

function count(
  scores: Float64Array,
  thresholds: Thresholds,
): { readonly flags: number; readonly blocks: number } {
  let flags = 0
  let blocks = 0
  for (const score of scores) {
    const outcome = outcomeOf(score, thresholds)
    if (outcome === 'flag') flags += 1
    if (outcome === 'block') blocks += 1
  }
  return { flags, blocks }
}

/** A start of the band, with the alerts that it would miss. */
interface BandCounts {
  readonly verifyFrom: number
  /** Rows that score below it. */
  readonly below: number
  readonly rows: number
  readonly flags: number
  readonly blocks: number
  readonly missedFlags: number
  readonly missedBlocks: number
}

function bandOf({ verifyFrom, below, ...counts }: BandCounts): Band {
  const { rows, flags, blocks, missedFlags, missedBlocks } = counts
  const differing = missedFlags + missedBlocks
  // Nothing is uncertain when the target is always asked.
  const atLeast = (missed: number, of: number): number =>
    below === 0 ? 1 : 1 - shareAtMost(missed, of, CONFIDENCE)
  return {
    verifyFrom,
    verifiedShare: rows === 0 ? 1 : 1 - below / rows,
    agreement: {
      rows,
      differing,
      flags,
      missedFlags,
      blocks,
      missedBlocks,
      confidence: CONFIDENCE,
      overallAtLeast: atLeast(differing, rows),
      flagsAtLeast: atLeast(missedFlags, flags),
      blocksAtLeast: atLeast(missedBlocks, blocks),
    },
  }
}

function holds({ overallAtLeast, flagsAtLeast, blocksAtLeast }: Agreement): boolean {
  return (
    overallAtLeast >= AGREEMENT_MIN &&
    flagsAtLeast >= ALERT_AGREEMENT_MIN &&
    blocksAtLeast >= ALERT_AGREEMENT_MIN
  )
}
