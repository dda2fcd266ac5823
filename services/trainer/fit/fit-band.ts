// Chooses from which draft score on the target is asked, so that the cascade's outcome is the target's for nearly all
// payments, and for nearly all of the target's flags and of its blocks, with a stated confidence.

import { outcomeOf, type Thresholds } from '../../core/decision/decide.ts'
import { shareAtMost, type Agreement } from '../../core/scoring/cascade.ts'

/** Shares that must agree, and how sure that must be. */
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
 * The highest start of the band with which the bounds hold on these rows; 0, always asking the target, when they hold
 * nowhere else. Above the flag threshold it never starts: what is alerted is verified.
 */
export function fitBand(
  draftScores: Float64Array,
  targetScores: Float64Array,
  thresholds: Thresholds,
): Band {
  const order = Uint32Array.from(draftScores.keys()).sort(
    (a, b) => (draftScores[a] ?? 0) - (draftScores[b] ?? 0) || a - b,
  )
  const all = count(targetScores, thresholds)
  let missedFlags = 0
  let missedBlocks = 0
  let best = bandOf(0, 0, draftScores.length, all, 0, 0)
  for (const [rank, row] of order.entries()) {
    const score = draftScores[row] ?? 0
    // Between the highest draft score below the flag threshold and the threshold itself others may come.
    const verifyFrom = Math.min(score, thresholds.flag)
    // All rows below it keep their draft's approval.
    if (verifyFrom > best.verifyFrom) {
      const band = bandOf(verifyFrom, rank, draftScores.length, all, missedFlags, missedBlocks)
      if (!holds(band.agreement)) break
      best = band
    }
    if (score >= thresholds.flag) break
    const outcome = outcomeOf(targetScores[row] ?? 0, thresholds)
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

function bandOf(
  verifyFrom: number,
  below: number,
  rows: number,
  { flags, blocks }: { readonly flags: number; readonly blocks: number },
  missedFlags: number,
  missedBlocks: number,
): Band {
  const differing = missedFlags + missedBlocks
  // Where the target is always asked there is nothing to be unsure of.
  const atLeast = (missed: number, of: number): number =>
    below === 0 ? 1 : 1 - shareAtMost(missed, of, CONFIDENCE)
  return {
    verifyFrom,
    verifiedShare: rows === 0 ? 1 : 1 - below / rows,
    agreement: {
      ...{ rows, differing, flags, missedFlags, blocks, missedBlocks },
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
