// The cascade (draft and verify): a small net scores every payment; when its score reaches the band, a large net
// decides. Every payment that could be flagged or blocked is in the band, so no alert depends on the first stage alone.

import assert from 'node:assert/strict'
import { murmur2Text } from '../murmur2.ts'
import { SEQUENCE_LENGTH } from '../features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../features/catalogue/feature-list.ts'
import { isScore } from '../decision/decide.ts'
import type { ScoringModel, VerifiableRows } from './scoring-model.ts'

const SAMPLE_SEED = 0x51e7c0de
const HASHES = 0x1_0000_0000

/**
 * Annotation of a decision: the large net's score decided it; or the small net's did although the large net should have
 * scored it.
 */
export const CASCADE_ANNOTATIONS = ['verified', 'draft_stands'] as const
export type CascadeAnnotation = (typeof CASCADE_ANNOTATIONS)[number]

/** Frequency with which the outcome of the cascade equals the target's, measured on validation data. */
export interface Agreement {
  readonly rows: number
  readonly differing: number
  /** Flags and blocks of the second stage, and how many of them the first stage let through. */
  readonly flags: number
  readonly missedFlags: number
  readonly blocks: number
  readonly missedBlocks: number
  /** Lower ends of the intervals of agreement at this confidence (Clopper and Pearson 1934, one-sided). */
  readonly confidence: number
  readonly overallAtLeast: number
  readonly flagsAtLeast: number
  readonly blocksAtLeast: number
}

/** True when the first-stage score reaches the band, so the second stage is asked; a start of 0 always asks it. */
export function needsVerification(draftScore: number, verifyFrom: number): boolean {
  return draftScore >= verifyFrom
}

/** The rows that the second stage is asked about, in order. A row without a first-stage score is never among them. */
export function verifiedRows(draftScores: Float64Array, verifyFrom: number): Uint32Array {
  const rows: number[] = []
  for (const [row, score] of draftScores.entries()) {
    if (needsVerification(score, verifyFrom)) rows.push(row)
  }
  return Uint32Array.from(rows)
}

/**
 * Scores of the cascade: those of the first stage, replaced by those of the second (by position in `verified`) where it
 * was asked.
 */
export function cascadeScores(
  draftScores: Float64Array,
  verified: Uint32Array,
  targetScores: Float64Array,
): Float64Array {
  assert(targetScores.length === verified.length, 'Every verified row has a score of the target.')
  const scores = draftScores.slice()
  for (const [at, score] of targetScores.entries()) scores[verified[at] as number] = score
  return scores
}

/**
 * True for payments that the second stage scores whatever their score, so that agreement can be measured: chosen by a
 * hash of the id.
 */
export function isSampled(transactionId: string, share: number): boolean {
  return murmur2Text(transactionId, SAMPLE_SEED) < share * HASHES
}

/**
 * The largest share that is still plausible after `events` of `trials`: the upper end of the exact one-sided binomial
 * interval; 1 without trials.
 */
export function shareAtMost(events: number, trials: number, confidence: number): number {
  if (events >= trials) return 1
  let low = events / trials
  let high = 1
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2
    if (binomialAtMost(events, trials, middle) > 1 - confidence) low = middle
    else high = middle
  }
  return high
}

const BISECTIONS = 50

/** Probability of at most `events` in `trials`, each with this share. */
function binomialAtMost(events: number, trials: number, share: number): number {
  let term = trials * Math.log1p(-share)
  let sum = Math.exp(term)
  for (let count = 1; count <= events; count += 1) {
    term += Math.log(((trials - count + 1) / count) * (share / (1 - share)))
    sum += Math.exp(term)
  }
  return sum
}

export interface CascadeScores {
  readonly scores: Float64Array
  /** Annotations of the decisions, by row; none outside the band, nor for a model of one net. */
  readonly annotations: ReadonlyMap<number, CascadeAnnotation>
}

/**
 * Scores the first `rowCount` rows as a scorer does without a time limit: the first stage scores all, the second those
 * that reach the band. A row that the second stage cannot score keeps its first-stage score; so do rows from
 * `knownCount` on, whose earlier payments are unknown.
 */
export async function scoreCascade(
  model: Pick<ScoringModel, 'score' | 'verifier'>,
  { rows, sequences, amountsMinor }: VerifiableRows,
  rowCount: number,
  knownCount = rowCount,
): Promise<CascadeScores> {
  const { verifier } = model
  const drafts = await model.score(rows, rowCount)
  const annotations = new Map<number, CascadeAnnotation>()
  if (verifier === null) return { scores: drafts, annotations }
  const band = verifiedRows(drafts, verifier.verifyFrom)
  for (const row of band) annotations.set(row, 'draft_stands')
  const asked = band.filter((row) => row < knownCount)
  if (asked.length === 0) return { scores: drafts, annotations }
  const question = {
    rows: pickRows(rows, asked, FEATURE_COUNT),
    sequences: pickRows(sequences, asked, SEQUENCE_LENGTH),
    amountsMinor: pickRows(amountsMinor, asked, 1),
  }
  const targets = await verifier.score(question, asked.length)
  assert(
    targets.length === asked.length,
    'The target answers for every row that it is asked about.',
  )
  const answered = asked.filter((_, place) => isScore(targets[place] as number))
  for (const row of answered) annotations.set(row, 'verified')
  return { scores: cascadeScores(drafts, answered, targets.filter(isScore)), annotations }
}

/** The rows of `width` numbers at these positions. */
export function pickRows(values: Float64Array, rows: Uint32Array, width: number): Float64Array {
  const picked = new Float64Array(rows.length * width)
  for (const [at, row] of rows.entries()) {
    picked.set(values.subarray(row * width, (row + 1) * width), at * width)
  }
  return picked
}
