// Explains why rows were flagged or blocked. Reasons set each feature in turn to its baseline value. The counterfactual
// is the least change of one feature that would have given a milder outcome, or the rules without which the outcome
// would have been milder. All rows of a batch are scored together. When the large net of a cascade has decided, the
// small net selects the few features to ask it about, since it is asked once for each.

import {
  type Attribution,
  rankedAttributions,
  REASONS_MAX,
  reasonsOf,
  unusualFeatures,
  writeOcclusions,
} from '../../core/decision/reasons.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { Verifier } from '../../core/scoring/scoring-model.ts'
import type { DecideOptions } from './decide-options.ts'
import type { Explained, Why } from './explained.ts'
import { findCounterfactuals } from './find-counterfactuals.ts'
import { orWithoutRules } from './without-rules.ts'
import { verifyChanged, type ChangedRow } from './what-if.ts'

/** Features that the large net is asked about: the most important ones according to the small net. */
const CANDIDATES_MAX = 2 * REASONS_MAX

type Options = Pick<DecideOptions, 'baseline' | 'score' | 'verify'>

/** Reasons and counterfactual per row, in order. */
export async function explainRows(
  explained: readonly Explained[],
  options: Options,
): Promise<readonly Why[]> {
  if (explained.length === 0) return []
  const attributions = await attributionsOf(explained, options)
  const byFeatures = await findCounterfactuals(explained, attributions, options)
  const counterfactuals = await orWithoutRules(explained, byFeatures, attributions, options)
  return explained.map(({ row }, position) => ({
    reasons: reasonsOf(row, options.baseline, attributions[position] ?? []),
    counterfactual: counterfactuals[position] ?? null,
  }))
}

/** Features whose baseline value lowers the score, per row, strongest first. */
async function attributionsOf(
  explained: readonly Explained[],
  { baseline, score, verify }: Options,
): Promise<readonly (readonly Attribution[])[]> {
  const unusual = explained.map(({ row }) => unusualFeatures(row, baseline))
  const rowCount = unusual.reduce((sum, { length }) => sum + length, 0)
  const occluded = new Float64Array(rowCount * FEATURE_COUNT)
  let written = 0
  for (const [position, { row }] of explained.entries()) {
    const features = unusual[position] ?? []
    writeOcclusions(row, baseline, features, occluded, written * FEATURE_COUNT)
    written += features.length
  }
  const found = (await score(occluded, rowCount)).values()
  const scores = new Float64Array(explained.length * FEATURE_COUNT).fill(NaN)
  for (const [position, features] of unusual.entries()) {
    for (const feature of features) {
      scores[position * FEATURE_COUNT + feature] = found.next().value ?? NaN
    }
  }
  if (verify !== null) await retry(explained, scores, baseline, verify.verifier)
  return explained.map(({ score: own }, position) =>
    rankedAttributions(own, scores, position * FEATURE_COUNT),
  )
}

/**
 * For rows of the second stage, replaces the small net's scores by the cascade's for the most important features, and
 * by NaN for the others. All rows are scored together.
 */
async function retry(
  explained: readonly Explained[],
  scores: Float64Array,
  baseline: readonly number[],
  verifier: Verifier,
): Promise<void> {
  const candidates: (ChangedRow & { readonly at: number })[] = []
  const found: number[] = []
  for (const [position, { row, draftScore, verified }] of explained.entries()) {
    if (verified === null) continue
    const from = position * FEATURE_COUNT
    for (const attribution of rankedAttributions(draftScore, scores, from).slice(
      0,
      CANDIDATES_MAX,
    )) {
      const { feature, scoreAtBaseline } = attribution
      const changes = [{ feature, value: baseline[feature] ?? NaN }]
      candidates.push({ row, changes, verified, at: from + feature })
      found.push(scoreAtBaseline)
    }
    scores.fill(NaN, from, from + FEATURE_COUNT)
  }
  const answers = Float64Array.from(found)
  await verifyChanged(candidates, answers, verifier)
  for (const [index, { at }] of candidates.entries()) scores[at] = answers[index] ?? NaN
}
