// DATA_CARD.md: the data for training and evaluation: origin, size, delay of labels, omissions, biases, and who may use
// it.

import { SKIP_REASONS } from '../../services/trainer/dataset/dataset.ts'
import { licenceSection } from './licence-files.ts'
import { day, list, pageOf, percent, periodRow, table } from './page-parts.ts'
import type { Release } from '../../services/trainer/release.ts'
import type { Results } from './results.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

const BIASES: readonly string[] = [
  'Unreported frauds count as genuine.',
  'Labels depend on which card holders complain and which alerts are examined.',
  'Cards with many payments weigh more than cards with few.',
  'A history of weeks does not cover the seasons of a year.',
]

/** Builds the card from the counts of the run. */
export function dataCard(release: Release, results: Results): Buffer {
  const { manifest, terms, caveat } = release
  const opening = `The data that model ${manifest.version} was trained on and measured with. This page is generated.\n\n**${caveat}**`
  return pageOf('DATA_CARD.md', `Data of model ${manifest.name}`, opening, [
    source(release, results),
    periods(results),
    labels(results),
    leftOut(results),
    `${manifest.features.length} features per transaction, the list with hash \`${manifest.featureListHash}\`; names and ` +
      'order are in manifest.json. The scorer runs the same code; every feature uses only facts known at the time of the ' +
      'transaction.',
    evaluationRows(results),
    list(BIASES),
    digests(release, results),
    licenceSection(terms),
  ])
}

function source({ manifest, command }: Release, { history }: Results): string {
  return (
    `${manifest.data.source}: ${history.transactions} transactions of ${history.cards} cards from ` +
    `${day(history.firstMs)} to ${day(history.lastMs)}, ${history.frauds} of them frauds ` +
    `(${percent(history.frauds / Math.max(1, history.transactions))}). \`${command}\` reproduces the same rows.`
  )
}

function periods({ periods: { train, validation, test } }: Results): string {
  return table(
    ['period', 'from', 'to', 'transactions', 'frauds'],
    [periodRow('training', train), periodRow('validation', validation), periodRow('test', test)],
  )
}

function labels({ history: { labels: count, correctedLabels, labelDelay } }: Results): string {
  const delay =
    labelDelay === null
      ? 'There were no labels.'
      : `They became known ${delayText(labelDelay.medianMs)} (median), ${delayText(labelDelay.p90Ms)} (90 %) and at ` +
        `most ${delayText(labelDelay.maxMs)} after their transactions.`
  return `${count} labels, ${correctedLabels} of which were replaced by a later one. ${delay} The latest label counts.`
}

function delayText(ms: number): string {
  return ms < DAY_MS ? `${(ms / HOUR_MS).toFixed(1)} hours` : `${(ms / DAY_MS).toFixed(1)} days`
}

function leftOut({ history: { skipped } }: Results): string {
  return table(
    ['reason', 'count'],
    SKIP_REASONS.map((reason) => [`\`${reason}\``, skipped[reason]]),
  )
}

function evaluationRows({ shipped, periods: { test } }: Results): string {
  if (shipped === null) return 'None are shipped.'
  return (
    `[${shipped.file}](${shipped.file}): ${shipped.rows} of ${test.transactions} rows of the test period with ` +
    `${shipped.frauds} of ${test.frauds} frauds: ${shipped.rule}. Columns: event time in milliseconds, truth, the ` +
    "weight (the number of rows it represents), the trainer's score, every feature, the amount in minor units, and amount and " +
    'age of up to 32 earlier payments of the card where the target was asked; an empty cell is an absent value. ' +
    'Amounts are in the reference currency. ' +
    'The rows hold no token of a card, terminal, merchant or device.'
  )
}

function digests({ manifest }: Release, { shipped }: Results): string {
  const rows = [
    ['all feature rows, event times and truths', manifest.data.digest],
    ['feature list', manifest.featureListHash],
    ['reference currency', manifest.referenceCurrency],
    ['exchange rates', manifest.ratesDigest],
    ...(shipped === null ? [] : [['text of the evaluation rows', shipped.textSha256]]),
  ]
  return table(
    ['of', 'SHA-256'],
    rows.map(([of = '', digest = '']) => [of, `\`${digest}\``]),
  )
}
