// What the pages of a model folder say of draft and target.

import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import { alertText, percent, table } from './page-parts.ts'
import type { CascadeResult, Results } from './results.ts'

const ONE_NET = 'One net scores every transaction.'

/** For the model card: who answers, how often they agree, and what each is worth alone. */
export function cascadeSection({ cascade, metrics }: Results): string {
  if (cascade === null) return ONE_NET
  const { agreement, parts } = cascade
  const { rows, differing, flags, missedFlags, blocks, missedBlocks, confidence } = agreement
  const agreeing = table(
    ['validation', 'of the target', 'other outcome', `equal, at least (${percent(confidence, 0)})`],
    [
      ['transactions', rows, differing, percent(agreement.overallAtLeast)],
      ['flags', flags, missedFlags, percent(agreement.flagsAtLeast)],
      ['blocks', blocks, missedBlocks, percent(agreement.blocksAtLeast)],
    ],
  )
  const row = (name: string, of: ModelMetrics): readonly (string | number)[] => [
    name,
    of.averagePrecision.toFixed(4),
    of.brier.toFixed(5),
    alertText(of.flag),
    alertText(of.block),
  ]
  const worth = table(
    ['on the test period', 'average precision', 'Brier score', 'flagged or blocked', 'blocked'],
    [
      row('draft alone', parts.draft),
      row('target alone', parts.target),
      row('cascade', metrics.test),
    ],
  )
  return `${bandText(cascade)}\n\n${agreeing}\n\n${worth}`
}

/** For both pages: where the band begins. */
export function bandText({ verifyFrom, verifiedShare, sampleShare }: CascadeResult): string {
  if (verifyFrom === 0) {
    return (
      'The draft scores every transaction, but validation held too few rows to be sure of it alone: the target is ' +
      `always asked, and its score counts (verified from a probability of ${verifyFrom.toFixed(4)}).`
    )
  }
  return (
    `The draft scores every transaction. Where its probability is ${verifyFrom.toFixed(4)} or more, the target's score ` +
    `counts instead: for ${percent(verifiedShare)} of the validation rows, and for everything that could be flagged or ` +
    `blocked. ${percent(sampleShare)} of the others are scored by the target too, only to watch that both agree.`
  )
}
