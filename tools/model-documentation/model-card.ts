// MODEL_CARD.md: what a model is for, how good it is and how certain that is, and what it cannot do.

import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import {
  type IntervalFigure,
  SEED_FIGURES,
  type SeedFigures,
} from '../../services/trainer/metrics.ts'
import { spreadOf } from '../../services/trainer/statistics.ts'
import { alertText, day, list, pageOf, percent, periodRow, sentence, table } from './page-parts.ts'
import { licenceSection } from './licence-files.ts'
import type { Release } from '../../services/trainer/release.ts'
import type { Results, CascadeResult } from './results.ts'
import {
  totalMinor,
  type CostFigures,
  type ModelCosts,
} from '../../services/core/scoring/alert-costs.ts'

/** Builds the card from the measurements of the run. */
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
    `${history.transactions} transactions of ${history.cards} cards; [DATA_CARD.md](DATA_CARD.md) names their origin.\n\n` +
    `${table(['period', 'from', 'to', 'transactions', 'frauds'], rows)}\n\n` +
    'The periods are separated by the typical delay of a label. Epochs, calibration, thresholds and the band of the target ' +
    'were chosen on validation; the test period had no part in these choices.'
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
      ? 'No evaluation rows are shipped, so the figures can be recomputed only from the history.'
      : `The last column is measured on exactly the ${shipped.rows} rows in [${shipped.file}](${shipped.file}): ` +
        `${shipped.rule}; each row counts with its weight. \`sluice model verify\` recomputes it.`
  const seeds = seedsText(bySeed, manifest.training.seed)
  return (
    `${table(['figure', 'validation', 'test', 'shipped rows'], rows)}\n\n` +
    `In brackets: ${percent(intervals.confidence, 0)} intervals from ${intervals.draws} draws of whole cards. ${note}` +
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
  return `The test period by week from its beginning; the last week may be shorter.\n\n${table(header, rows)}`
}

function thresholds({ thresholds: { flag, block, rule }, costs }: Results): string {
  const chosen = `Flag at ${flag.toFixed(4)}, block at ${block.toFixed(4)}. ${sentence(rule)}`
  return `${chosen}\n\n${costSection(costs)}`
}

function again({ command, manifest: { training } }: Release): string {
  return (
    `\`${command}\` reproduces the model (seed ${training.seed}, backend ${training.backend}): on that backend the ` +
    'weights have the same bytes.'
  )
}

const ONE_NET = 'One net scores every transaction.'

/** The section on the cascade: which net decides, how often both agree, and the figures of each alone. */
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

/** Describes the start of the band, for the model card and the technical report. */
export function bandText({ verifyFrom, verifiedShare, sampleShare }: CascadeResult): string {
  if (verifyFrom === 0) {
    return (
      'The draft scores every transaction, but validation has too few rows to rely on it alone: the target is ' +
      `always asked, and its score counts (verified from a probability of ${verifyFrom.toFixed(4)}).`
    )
  }
  return (
    `The draft scores every transaction. Where its probability is ${verifyFrom.toFixed(4)} or more, the target's score ` +
    `counts instead: for ${percent(verifiedShare)} of the validation rows, and for everything that could be flagged or ` +
    `blocked. ${percent(sampleShare)} of the others are scored by the target too, only to measure agreement.`
  )
}

/** The costs and savings of both periods, in the reference currency. */
export function costSection({ costs, validation, test }: ModelCosts): string {
  const row = (name: string, read: (of: CostFigures) => string): readonly string[] => [
    name,
    read(validation),
    read(test),
  ]
  const rows = [
    row('value of all frauds', (of) => amount(of.fraudMinor)),
    row('loss avoided', (of) => amount(of.avoidedMinor)),
    row('work on alerts', (of) => amount(of.alertsMinor)),
    row('wrong blocks', (of) => amount(of.wrongBlocksMinor)),
    row('fraud and work in total', (of) => amount(totalMinor(of))),
    row('share of fraud value saved', savedText),
  ]
  return (
    `In the reference currency, with ${amount(costs.alertMinor)} an alert, ${amount(costs.wrongBlockFixedMinor)} and ` +
    `${percent(costs.wrongBlockShare, 0)} of the amount a wrong block, and ${percent(costs.flagSavesShare, 0)} of a fraud's ` +
    `amount saved by a flag, all of it by a block:\n\n${table(['amount', 'validation', 'test'], rows)}\n\n` +
    'These costs are assumptions; train with your own if you know them (`sluice train --help`).'
  )
}

function savedText(of: CostFigures): string {
  return of.fraudMinor === 0 ? 'no frauds' : percent(1 - totalMinor(of) / of.fraudMinor, 1)
}

function amount(minor: number): string {
  return (minor / 100).toFixed(2)
}

/** The chosen seed and the figures over all seeds; null for a single seed. */
export function seedsText(bySeed: readonly SeedFigures[], chosen: number): string | null {
  if (bySeed.length < 2) return null
  const cell = (period: 'validation' | 'test', read: (of: ModelMetrics) => number): string => {
    const { mean, deviation } = spreadOf(bySeed.map((of) => read(of[period])))
    return `${mean.toFixed(4)} +/- ${deviation.toFixed(4)}`
  }
  const rows = Object.entries(SEED_FIGURES).map(([name, read]) => [
    name,
    cell('validation', read),
    cell('test', read),
  ])
  const seeds = bySeed.map(({ seed }) => seed).join(', ')
  return (
    `Trained with ${bySeed.length} seeds (${seeds}); seed ${chosen} was chosen for the highest average ` +
    'precision on validation. Mean and standard deviation over the seeds, each with its own thresholds:\n\n' +
    table(['figure', 'validation', 'test'], rows)
  )
}

export const USERS: readonly string[] = [
  'operators of a card stream that have fraud analysts',
  'people who study how such a system works',
]

export const USES: readonly string[] = [
  'Ranking single card transactions by the probability of fraud, from features that Sluice computes.',
  'Raising flags for analysts; blocking only where an operator has turned enforcement on for a policy.',
]

export const NOT_FOR: readonly string[] = [
  'Decisions about a person: credit, employment, insurance, or closing an account.',
  'Streams whose features are computed by other code, or whose payments differ from those of the training.',
]

export const LIMITS: readonly string[] = [
  'Cards, terminals and devices that are new to the stream have little history, so their scores are less reliable.',
  'A transaction without a label counts as genuine, in training and in these figures.',
  'Frauds change to evade detection; figures of a past period do not guarantee a later one.',
  'Fairness among groups of card holders was not checked; apart from hours and places of payments the features hold ' +
    'no trait of a person.',
]

/** Ethical risks and their mitigation. */
export const RISKS: readonly { readonly name: string; readonly mitigation: string }[] = [
  {
    name: 'A genuine payment is blocked.',
    mitigation:
      'Blocks are leases that expire, require a mode that an operator turns on, and are capped by a breaker.',
  },
  {
    name: 'Payments at unusual hours or places are flagged more often, regardless of who makes them.',
    mitigation: 'Every alert carries its reasons, so an analyst sees its basis.',
  },
]
