// MODEL_CARD.md: what a model is, what it is for, how good it is and how sure that is, and what it cannot do.

import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import { cascadeSection } from './cascade-words.ts'
import { costSection } from './cost-words.ts'
import { LIMITS, NOT_FOR, USERS, USES } from './considerations.ts'
import type { IntervalFigure } from '../../services/trainer/intervals.ts'
import { alertText, day, list, pageOf, percent, periodRow, sentence, table } from './page-parts.ts'
import { licenceSection } from './licence-files.ts'
import type { Release } from '../../services/trainer/release.ts'
import type { Results } from './results.ts'
import { seedsText } from './seeds-text.ts'

/** The card, made from what the run has measured. */
export function modelCard(release: Release, results: Results): Buffer {
  const { manifest, method, caveat } = release
  const opening =
    `Scores one card transaction from ${manifest.features.length} features: ${method.family}, ` +
    `${method.architecture}; outputs are calibrated to probabilities. Made by \`sluice train\` and released on ` +
    `${release.releasedOn}; this page is generated.\n\n**${caveat}**`
  return pageOf('MODEL_CARD.md', `Model ${manifest.version}`, opening, [
    `For ${USERS.join('; ')}.\n\n${list(USES)}\n\nNot for:\n\n${list(NOT_FOR)}`,
    trainingData(results),
    figures(release, results),
    weeks(results),
    thresholds(results),
    cascadeSection(results),
    list([...LIMITS, again(release)]),
    licenceSection(release.terms),
  ])
}

function trainingData({ periods, history }: Results): string {
  const { train, validation, test } = periods
  const rows = [
    periodRow('training', train),
    periodRow('validation', validation),
    periodRow('test', test),
  ]
  return (
    `${history.transactions} transactions of ${history.cards} cards; [DATA_CARD.md](DATA_CARD.md) says where they come from.\n\n` +
    `${table(['period', 'from', 'to', 'transactions', 'frauds'], rows)}\n\n` +
    'The periods are apart by the usual delay of a label. Epochs, calibration, thresholds and the band of the target ' +
    'were chosen on validation; test had no part in these choices.'
  )
}

function figures({ bySeed, manifest }: Release, results: Results): string {
  const { metrics, intervals, shipped } = results
  const both = (
    name: string,
    show: (of: ModelMetrics) => string,
    interval: IntervalFigure | null,
  ): readonly string[] => {
    const withInterval = (period: 'validation' | 'test'): string => {
      const value = show(metrics[period])
      if (interval === null) return value
      const { low, high } = intervals[period][interval]
      return `${value} (${low.toFixed(3)} to ${high.toFixed(3)})`
    }
    return [
      name,
      withInterval('validation'),
      withInterval('test'),
      shipped === null ? 'none' : show(shipped.metrics),
    ]
  }
  const rows = [
    both('average precision', (of) => of.averagePrecision.toFixed(3), 'averagePrecision'),
    both(
      'recall at 0.1 % false positives',
      (of) => of.recallAtFalsePositives01Percent.toFixed(3),
      'recallAtFalsePositives01Percent',
    ),
    both('area under the ROC curve', (of) => of.aucRoc.toFixed(3), 'aucRoc'),
    both('Brier score', (of) => of.brier.toFixed(5), null),
    both('flagged or blocked', (of) => alertText(of.flag), null),
    both('precision of flags', (of) => of.flag.precision.toFixed(3), 'flagPrecision'),
    both('recall of flags', (of) => of.flag.recall.toFixed(3), 'flagRecall'),
    both('blocked', (of) => alertText(of.block), null),
    both('precision of blocks', (of) => of.block.precision.toFixed(3), 'blockPrecision'),
    both('recall of blocks', (of) => of.block.recall.toFixed(3), 'blockRecall'),
  ]
  const note =
    shipped === null
      ? 'No evaluation rows are shipped, so only who has the history can compute these again.'
      : `The last column is measured on exactly the ${shipped.rows} rows in [${shipped.file}](${shipped.file}): ` +
        `${shipped.rule}; each counts for as many as its weight says. \`sluice model verify\` computes it again.`
  const seeds = seedsText(bySeed, manifest.training.seed)
  return (
    `${table(['figure', 'validation', 'test', 'shipped rows'], rows)}\n\n` +
    `In brackets ${percent(intervals.confidence, 0)} intervals from ${intervals.draws} draws of whole cards. ${note}` +
    (seeds === null ? '' : `\n\n${seeds}`)
  )
}

function weeks({ weeks: found }: Results): string {
  const rows = found.map((week) => [
    day(week.fromMs),
    day(week.endMs),
    week.transactions,
    week.frauds,
    week.averagePrecision?.toFixed(3) ?? 'no frauds',
    alertText(week.flag),
    alertText(week.block),
  ])
  const header = ['from', 'to', 'transactions', 'frauds', 'average precision', 'flagged', 'blocked']
  return `The test period in weeks from its beginning; the last one may be shorter.\n\n${table(header, rows)}`
}

function thresholds({ thresholds: { flag, block, rule }, costs }: Results): string {
  const chosen = `Flag at ${flag.toFixed(4)}, block at ${block.toFixed(4)}. ${sentence(rule)}`
  return costs === null ? chosen : `${chosen}\n\n${costSection(costs)}`
}

function again({ command, manifest: { training } }: Release): string {
  return (
    `Made again by \`${command}\` (seed ${training.seed}, backend ${training.backend}), the weights are the same ` +
    'bytes on that backend.'
  )
}
