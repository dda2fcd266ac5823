// sluice explain: one alert with its revisions, decision, features, rules, reasons, counterfactual, lease and receipts.

import type { Command } from 'commander'
import { redactText } from '../../core/card-numbers.ts'
import type { Alert, Receipt } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { amountText } from '../alert-line.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { loadRedriveConfig } from '../dead-letters/read-letters.ts'
import {
  type ExplainedDecision,
  explainDecision,
  explanationJson,
  explanationLines,
} from '../features/explain.ts'
import { type DecidedStream, type StreamOptions, openStream } from '../features/export-rows.ts'
import { findAlert } from '../replay/judge-decisions.ts'
import { tableLines } from '../table.ts'
import { addPlaceOptions } from './stream-options.ts'
import type { RatesByDigest } from '../../platform/rate-store.ts'
import { recordedRates } from '../../platform/config/rates-setting.ts'
import { storesOf } from '../model/model-stream.ts'

const LISTED_DEFAULT = 5
const LISTED_MAX = 100_000
const REVISION_MAX = 1_000

interface ExplainCommandOptions extends StreamOptions {
  readonly revision: number
  readonly limit: number
}

const EXAMPLES = `
Examples:
  $ sluice explain 5f0c1f6f2a6c4f0d9a3e5b7c8d9e0f1a
  $ sluice explain 5f0c1f6f2a6c4f0d9a3e5b7c8d9e0f1a --json | jq '.revisions[0].counterfactual'

What reasons and counterfactuals mean: docs/why.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('explain')
    .summary('say all about one alert: why, and what came of it')
    .description(
      'Finds an alert and prints it with its revisions, rules, reasons, what would have changed it, its lease, its ' +
        'receipts, and every feature of its decision with the transactions that it counted, recomputed from the log.',
    )
    .argument('<alert id>', 'id of the alert')
    .option(
      '--revision <number>',
      'explain the features of this revision of the decision',
      parseInteger(0, REVISION_MAX),
      0,
    )
    .option(
      '--limit <count>',
      'list at most this many transactions for each feature, the newest',
      parseInteger(0, LISTED_MAX),
      LISTED_DEFAULT,
    )
  addPlaceOptions(command)
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(explain)
}

async function explain(alertId: string, options: ExplainCommandOptions): Promise<void> {
  const stream = await openStream(options)
  const { eventAheadMsMax } = loadRedriveConfig(process.env)
  const rates = await recordedRates(storesOf(options).policies)
  const explained = await gatherAlert(
    stream,
    { alertId, revision: options.revision, eventAheadMsMax, rates, onProgress: printProgress },
    interruptSignal(),
  )
  if (options.json === true) printJson(alertJson(explained, options.limit))
  else for (const line of alertLines(explained, options.limit)) printLine(line)
}

// Collects all records about one alert from the topics.

/** Most receipts in memory. */
const RECEIPTS_MAX = 10_000

interface ExplainedAlert {
  /** Oldest revision first; never empty. */
  readonly alerts: readonly [Alert, ...Alert[]]
  readonly decision: ExplainedDecision
  /** In the order of their topic. */
  readonly receipts: readonly Receipt[]
}

interface GatherOptions {
  readonly alertId: string
  /** Revision of the decision whose features are explained. */
  readonly revision: number
  readonly eventAheadMsMax: number
  readonly rates: RatesByDigest
  readonly onProgress: (line: string) => void
}

/** @throws SluiceError SLUICE_USAGE when there is no such alert or decision, and what readers of topics throw. */
export async function gatherAlert(
  stream: DecidedStream,
  { alertId, revision, eventAheadMsMax, rates, onProgress }: GatherOptions,
  signal: AbortSignal,
): Promise<ExplainedAlert> {
  const alerts = await findAlert(stream, alertId, signal)
  const receipts = await findReceipts(stream, alertId, signal)
  const [{ transactionId, source }] = alerts
  const place = { partition: source.partition, offset: source.offset }
  const decision = await explainDecision(
    stream,
    { transactionId, revision, place, eventAheadMsMax, rates, onProgress },
    signal,
  )
  return { alerts, decision, receipts }
}

async function findReceipts(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  alertId: string,
  signal: AbortSignal,
): Promise<readonly Receipt[]> {
  const topic = topicName(topicPrefix, 'receipts')
  const bytes = Buffer.from(alertId)
  const found: Receipt[] = []
  await readToEnd(
    { brokers, security, name: 'sluice-explain', topics: [topic], startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        if (value?.includes(bytes) !== true) continue
        const decoded = codecs.receipt.decode(value)
        if (!decoded.ok || decoded.value.alertId !== alertId) continue
        if (found.length < RECEIPTS_MAX) found.push(decoded.value)
      }
    },
    signal,
  )
  return found
}

// An explained alert as lines for people, and as an object for programs.

const MINOR_PER_UNIT = 100

/** The alert as lines, with at most `limit` transactions per feature. */
function alertLines(
  { alerts, decision, receipts }: ExplainedAlert,
  limit: number,
): readonly string[] {
  const [first, ...later] = alerts
  const newest = later.at(-1) ?? first
  return [
    ...headingLines(first, newest),
    ...whyLines(newest.reasons.length === 0 ? first : newest),
    '',
    'Revisions',
    ...tableLines(alerts.map(revisionCells), { indent: '    ' }),
    '',
    'Receipts',
    ...(receipts.length === 0 ? ['    none'] : receipts.map(receiptText)),
    '',
    'Decision and features',
    ...explanationLines(decision, limit).map((line) => (line === '' ? '' : `    ${line}`)),
  ]
}

/** The alert as JSON. */
function alertJson({ alerts, decision, receipts }: ExplainedAlert, limit: number): object {
  return {
    alertId: alerts[0].alertId,
    revisions: alerts,
    decision: {
      ...explanationJson(decision, limit),
      rules: decision.decision.rules,
      segment: decision.decision.segment,
      reasons: decision.decision.reasons,
      block: {
        modelDigest: decision.block.modelDigest,
        policyDigest: decision.block.policyDigest,
        policyVersion: decision.block.policyVersion,
        mode: decision.block.mode,
        backend: decision.block.backend,
      },
    },
    receipts,
  }
}

function headingLines(first: Alert, newest: Alert): readonly string[] {
  const { score, threshold } = newest
  const loss = newest.expectedLossMinor
  return tableLines([
    ['alert', first.alertId],
    ['action', `${newest.action}${newest.revision === 0 ? '' : `, revision ${newest.revision}`}`],
    ['transaction', `${safe(first.transactionId)}, card ${safe(first.card)}`],
    ['amount', `${amountText(first.amountMinor, first.currency)} ${first.currency}`],
    ['at', `${isoText(first.eventTimeMs)}, ${placesOf(first)}`],
    [
      'score',
      score === null ? 'none' : `${score}, from ${threshold === null ? 'no threshold' : threshold}`,
    ],
    [
      'expected loss',
      loss === null
        ? 'not known'
        : `${(loss / MINOR_PER_UNIT).toFixed(2)}, priority ${newest.priority}`,
    ],
    ['model', `${safe(newest.modelVersion)} (${newest.modelDigest})`],
    ['policy', `version ${newest.policyVersion} (${newest.policyDigest}), ${newest.mode}`],
    ['segment', newest.segment === null ? 'none' : safe(newest.segment)],
    ['annotations', newest.annotations.length === 0 ? 'none' : safe(newest.annotations.join(', '))],
    ['lease', leaseText(newest)],
  ])
}

function whyLines({ rules, reasons, counterfactual }: Alert): readonly string[] {
  return [
    '',
    'Rules that fired',
    ...(rules.length === 0
      ? ['    none']
      : rules.map(({ name, outcome, text }) => safe(`    ${name} (${outcome}): ${text}`))),
    '',
    'Reasons, the strongest first',
    ...(reasons.length === 0
      ? ['    none: no single feature stands out']
      : reasons.map(({ text }, index) => safe(`    ${index + 1}. ${text}`))),
    '',
    'What would have changed it',
    counterfactual === null
      ? '    nothing was found: not even the strongest features at their baseline values together'
      : safe(`    ${counterfactual.text}`),
  ]
}

function revisionCells(alert: Alert): readonly string[] {
  const { revision, action, cause, decidedAtMs } = alert
  return [
    String(revision),
    isoText(decidedAtMs),
    action,
    cause ?? 'first',
    `lease ${leaseText(alert)}`,
  ]
}

function leaseText({ action, lease }: Alert): string {
  if (action === 'release') return 'released'
  if (lease === null) return 'none'
  return `${lease.grade}, ${isoText(lease.startMs)} to ${isoText(lease.endMs)}`
}

function receiptText({ revision, subscriber, status, reason, atMs }: Receipt): string {
  const why = reason === null ? '' : ` (${reason})`
  return safe(`    revision ${revision}  ${isoText(atMs)}  ${subscriber}: ${status}${why}`)
}

function placesOf({ merchant, terminal, country }: Alert): string {
  const places = [merchant, terminal, country].filter((place) => place !== null)
  return places.length === 0 ? 'no place given' : safe(places.join(', '))
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Cleans text from outside: no control characters, no card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
