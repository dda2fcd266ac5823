// Recomputes one decision from the log, and reports the events that each of its features counted.

import assert from 'node:assert/strict'
import { redactText } from '../../core/card-numbers.ts'
import { SluiceError } from '../../core/errors.ts'
import type { FeatureDefinition } from '../../core/features/catalogue/feature-definition.ts'
import { FEATURES, FEATURE_LIST_HASH } from '../../core/features/catalogue/feature-list.ts'
import { spanWords } from '../../core/features/catalogue/span-words.ts'
import { FEATURE_STATES } from '../../core/features/engine/feature-states.ts'
import type { KnownEvent, KnownLabel } from '../../core/features/provenance/contributors.ts'
import { type ExplainedFeature, Explanation } from '../../core/features/provenance/explanation.ts'
import { recordedBatchOf } from '../../core/features/provenance/replay-records.ts'
import type { NotCompared } from '../../core/features/provenance/row-comparison.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { DecisionBatch, DecisionRecord } from '../../core/wire/records.ts'
import { placeKey, readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { type Taken, feedReplay } from '../../skew/index.ts'
import { tableLine, tableLines } from '../table.ts'
import { type DecidedStream, readBatches } from './export-rows.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'
import type { RatesByDigest } from '../../platform/rate-store.ts'

const PROGRESS_MESSAGES = 500_000

interface ExplainOptions {
  readonly transactionId: string
  readonly revision: number
  /** Position of the transaction, for an id that was used more than once; the newest when absent. */
  readonly place?: { readonly partition: number; readonly offset: number }
  readonly eventAheadMsMax: number
  readonly rates: RatesByDigest
  readonly onProgress: (line: string) => void
}

/** One decision and its recomputed features. */
export interface ExplainedDecision extends FoundDecision {
  /** Other decisions about the same id: repeats, revisions, and earlier transactions with the id. */
  readonly others: readonly FoundDecision[]
  /** Null when the log does not allow the decision to be recomputed; then only recorded values are known. */
  readonly features: readonly ExplainedFeature[] | null
  /** Event time from which the log is available; null when it is complete. */
  readonly knownFromMs: number | null
  /** False when there were too many transactions to hold: the lists of the features are then incomplete. */
  readonly isComplete: boolean
}

/** @throws SluiceError SLUICE_USAGE when there is no such decision, and errors of topic readers. */
export async function explainDecision(
  stream: DecidedStream,
  options: ExplainOptions,
  signal: AbortSignal,
): Promise<ExplainedDecision> {
  const { transactionId, revision, eventAheadMsMax, rates, onProgress } = options
  const all = await findDecisions(stream, transactionId, onProgress, signal)
  const { place } = options
  const meant =
    place === undefined
      ? all
      : all.filter(
          ({ partition, decision }) =>
            partition === place.partition && decision.offset === place.offset,
        )
  const found = chooseDecision(meant, revision)
  if (found === null) throw notFound(stream, options, all)
  const others = all.filter((each) => each !== found)
  const { partition, decision } = found
  const transaction = await readTransaction(stream, partition, decision.offset, signal)
  const nothing = { ...found, others, features: null, knownFromMs: null, isComplete: true }
  if (transaction === null) return nothing
  const explanation = new Explanation({ partition, decision, transaction }, rates.newest)
  let saidAt = 0
  const { replay } = await feedReplay(
    {
      brokers: stream.brokers,
      security: stream.security,
      name: 'sluice-features',
      topicPrefix: stream.topicPrefix,
      codecs: stream.codecs,
      rates,
      eventAheadMsMax,
      from: 'beginning',
      until: 'end',
      sample: explanation.sample,
      onReplayed: (row) => {
        explanation.replayed(row)
      },
      onTaken: (taken) => {
        gather(explanation, taken)
      },
      onStep: (_, messages) => {
        if (messages >= saidAt + PROGRESS_MESSAGES) {
          saidAt = messages
          onProgress(`${messages} messages read`)
        }
        return explanation.isDone
      },
    },
    signal,
  )
  signal.throwIfAborted()
  const { knownFromMs } = replay
  return {
    ...nothing,
    features: explanation.features(),
    knownFromMs: Number.isFinite(knownFromMs) ? knownFromMs : null,
    isComplete: explanation.isComplete,
  }
}

function gather(explanation: Explanation, taken: Taken): void {
  const { partition } = taken
  if (taken.kind === 'transactions') explanation.takeEntries(partition, taken.entries)
  else if (taken.kind === 'labels') explanation.takeLabels(partition, taken.labels)
  else explanation.takeBatches(partition, taken.blocks)
}

function notFound(
  { topicPrefix }: DecidedStream,
  { transactionId, revision }: ExplainOptions,
  all: readonly FoundDecision[],
): SluiceError {
  const topic = `${topicPrefix}decisions`
  const [first] = all
  if (first === undefined) {
    return new SluiceError(
      'SLUICE_USAGE',
      `${topic} holds no decision about ${transactionId}; check the id and the topic prefix. It may also not be ` +
        'decided yet, be a dead letter ("sluice dead-letters list"), or be older than the topic.',
    )
  }
  if (revision > 0) {
    const known = all.map(({ decision }) => decision.revision)
    return new SluiceError(
      'SLUICE_USAGE',
      `The decision about ${transactionId} has no revision ${revision}; there are ${[...new Set(known)].join(', ')}.`,
    )
  }
  return new SluiceError(
    'SLUICE_USAGE',
    `${topic} holds only a repeat of ${transactionId}, which has no features; the first decision, at offset ` +
      `${first.decision.duplicateOfOffset ?? first.decision.offset}, is no longer there.`,
  )
}

// Finds the decision about a transaction id, and the transaction itself in the log.

/** Most decisions of one id in memory. An id that is used again and again shows its newest ones. */
const FOUND_MAX = 10_000

/** A decision with its position and its input. */
interface FoundDecision {
  readonly partition: number
  readonly decision: DecisionRecord
  readonly block: DecisionBatch
  readonly index: number
}

/** All decisions about the id in the topic: first ones, repeats and revisions. */
async function findDecisions(
  stream: DecidedStream,
  transactionId: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly FoundDecision[]> {
  const found: FoundDecision[] = []
  const bytes = Buffer.from(transactionId)
  await readBatches(
    stream,
    // Most decision batches do not hold the id, and searching for its bytes is far cheaper than decoding.
    (value) => value.includes(bytes),
    (block) => {
      for (const [index, decision] of block.decisions.entries()) {
        if (decision.transactionId !== transactionId) continue
        found.push({ partition: block.partition, decision, block, index })
        if (found.length > FOUND_MAX) found.shift()
      }
    },
    onProgress,
    signal,
  )
  return found
}

/**
 * The decision with this revision about the newest transaction with the id that was not a repeat. Null when there is
 * none.
 */
function chooseDecision(found: readonly FoundDecision[], revision: number): FoundDecision | null {
  const of = found.filter(
    ({ decision }) => decision.revision === revision && decision.duplicateOfOffset === null,
  )
  return of.reduce<FoundDecision | null>(
    (newest, each) =>
      newest === null || each.block.decidedAtMs >= newest.block.decidedAtMs ? each : newest,
    null,
  )
}

/** The transaction at a position of the log; null when it is no longer there. */
export async function readTransaction(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  partition: number,
  offset: number,
  signal: AbortSignal,
): Promise<Transaction | null> {
  const topic = topicName(topicPrefix, 'transactions')
  const enough = new AbortController()
  let transaction: Transaction | null = null
  try {
    await readToEnd(
      {
        brokers,
        security,
        name: 'sluice-features',
        topics: [topic],
        startAt: new Map([[placeKey(topic, partition), offset]]),
      },
      ({ messages }) => {
        const [first] = messages
        if (first !== undefined && Number(first.offset) === offset) {
          const message = codecs.decodeTransactionMessage(first.value)
          if (message.kind === 'transaction') transaction = message.value
        }
        enough.abort()
      },
      AbortSignal.any([signal, enough.signal]),
    )
  } catch (error) {
    if (signal.aborted || !enough.signal.aborted) throw error
  }
  return transaction
}

// An explained decision as lines for people, and as an object for programs.

const MINOR_PER_UNIT = 100
const DIGITS = 6

const WHY_NOT: Readonly<Record<NotCompared, string>> = {
  degraded: 'it was decided without state',
  expired: 'it reached further back than what was kept',
  behind_reach: 'it came behind the reach, where the state may be gone',
  outside_sample: 'it is not recomputed',
  warming_up: 'the log no longer holds all the history that it used',
  frontier_went_back: 'the state of another partition was being rebuilt',
  other_feature_list: 'another list of features was in use',
  message_gone: 'the transaction is no longer in the log',
}

/** The decision as lines, with at most `limit` transactions per feature. */
export function explanationLines(explained: ExplainedDecision, limit: number): readonly string[] {
  return [
    ...headingLines(explained),
    '',
    ...featureLines(explained, limit),
    ...noteLines(explained),
  ]
}

/** The decision as JSON: numbers unformatted, null for none. */
export function explanationJson(explained: ExplainedDecision, limit: number): object {
  const { partition, decision, block, features, knownFromMs, isComplete, others } = explained
  return {
    transactionId: decision.transactionId,
    partition,
    offset: decision.offset,
    revision: decision.revision,
    eventTimeMs: decision.eventTimeMs,
    outcome: decision.outcome,
    score: decision.score,
    annotations: decision.annotations,
    model: block.modelVersion,
    featureListHash: block.featureListHash,
    recomputed: features !== null,
    knownFromMs,
    isComplete,
    others: others.map(({ decision: other, partition }) => ({
      partition,
      offset: other.offset,
      revision: other.revision,
      outcome: other.outcome,
      duplicateOfOffset: other.duplicateOfOffset,
      causeOffset: other.causeOffset,
    })),
    features:
      features === null
        ? recordedOnly(explained).map(({ definition, value, state }) => ({
            name: definition.name,
            value: numberOrNull(value),
            state,
          }))
        : features.map((feature) => featureJson(feature, decision.eventTimeMs, limit)),
  }
}

function featureJson(feature: ExplainedFeature, eventTimeMs: number, limit: number): object {
  const { definition, recorded, state, recomputed, notCompared, differs } = feature
  const { events, labels, includesCurrent } = feature.contributors
  return {
    name: definition.name,
    sentence: definition.sentence,
    unit: definition.unit,
    value: numberOrNull(recorded),
    state,
    window: windowOf(definition, eventTimeMs),
    recomputed: notCompared === null ? numberOrNull(recomputed) : null,
    notCompared,
    differs,
    itself: includesCurrent,
    transactionCount: events.length,
    transactions: events.slice(0, limit).map(({ transactionId, partition, event }) => ({
      transactionId,
      partition,
      offset: event.offset,
      eventTimeMs: event.timeMs,
      amount: event.amountMinor / MINOR_PER_UNIT,
    })),
    labels: labels.slice(0, limit),
  }
}

function headingLines({
  partition,
  decision,
  block,
  others,
}: ExplainedDecision): readonly string[] {
  const { transactionId, offset, eventTimeMs, outcome, score, annotations, revision } = decision
  return tableLines([
    ['transaction', safe(transactionId)],
    ['at', `transactions/${partition}/${offset}, ${isoText(eventTimeMs)}`],
    ['decided', `${outcome}, score ${score ?? 'none'}, model ${safe(block.modelVersion)}`],
    ['revision', revision === 0 ? 'none: the first decision' : String(revision)],
    ['annotations', annotations.length === 0 ? 'none' : safe(annotations.join(', '))],
    ...others.map((other) => ['also', otherText(other)]),
  ])
}

function otherText({ partition, decision }: FoundDecision): string {
  const { offset, revision, outcome, duplicateOfOffset, causeOffset } = decision
  const place = `transactions/${partition}/${offset}`
  if (duplicateOfOffset !== null) return `${place}, a repeat of offset ${duplicateOfOffset}`
  if (revision === 0) return `${place}, ${outcome}, first decision`
  return `${place}, revision ${revision} to ${outcome}, caused by offset ${causeOffset ?? 'unknown'}`
}

function featureLines(explained: ExplainedDecision, limit: number): readonly string[] {
  const { features, decision } = explained
  if (features !== null) {
    return features.flatMap((feature) => oneFeature(feature, decision.eventTimeMs, limit))
  }
  return recordedOnly(explained).map(({ definition, value, state }) =>
    valueLine(definition, value, state),
  )
}

function oneFeature(
  feature: ExplainedFeature,
  eventTimeMs: number,
  limit: number,
): readonly string[] {
  const { definition, recorded, state, recomputed, notCompared, differs } = feature
  const { events, labels, includesCurrent } = feature.contributors
  const lines = [valueLine(definition, recorded, state)]
  const window = windowOf(definition, eventTimeMs)
  if (window !== null) {
    lines.push(`    window ${isoText(window.afterMs)} to ${isoText(window.untilMs)}`)
  }
  if (differs) {
    lines.push(
      `    !! DIFFERS: recomputed from the log it is ${String(recomputed)}, not ${String(recorded)}`,
    )
  } else if (notCompared !== null) lines.push(`    not compared: ${WHY_NOT[notCompared]}`)
  if (definition.entity === 'transaction') return lines
  lines.push(...events.slice(-limit).map(eventLine))
  if (events.length > limit) lines.push(`    and ${events.length - limit} before them`)
  if (includesCurrent) lines.push('    and the transaction itself')
  lines.push(...labels.slice(-limit).map(labelLine))
  if (labels.length > limit) lines.push(`    and ${labels.length - limit} labels more`)
  return lines
}

function noteLines(explained: ExplainedDecision): readonly string[] {
  const { features, knownFromMs, isComplete, decision } = explained
  const lines: string[] = []
  if (features === null) {
    lines.push(
      '',
      'Only what was recorded: the transaction, or what it saw, is no longer in the log, so nothing is recomputed.',
    )
  }
  if (knownFromMs !== null) {
    lines.push(
      '',
      `The log is there from ${isoText(knownFromMs)} on (event time); what lies before is not listed.`,
    )
  }
  if (!isComplete)
    lines.push('', 'There were more transactions than are held; lists are not complete.')
  if (decision.annotations.includes('windows_approximate')) {
    lines.push(
      '',
      'Old or crowded events counted by the hour (windows_approximate): lists may differ at the ends.',
    )
  }
  const differing = features?.filter(({ differs }) => differs) ?? []
  if (differing.length > 0) {
    const names = differing.map(({ definition }) => definition.name).join(', ')
    lines.push(
      '',
      `!! ${differing.length} of ${FEATURES.length} features differ from the log: ${names}`,
    )
  }
  return lines
}

function valueLine(
  { name, unit, sentence }: FeatureDefinition,
  value: number,
  state: string,
): string {
  const text = Number.isNaN(value) ? state : `${Number(value.toPrecision(DIGITS))} ${unit}`
  return tableLine([name, text, sentence], { widths: [32] })
}

function eventLine({ transactionId, event }: KnownEvent): string {
  const amount = (event.amountMinor / MINOR_PER_UNIT).toFixed(2)
  return `    ${safe(transactionId)}  ${isoText(event.timeMs)}  ${amount} ${configuredRates().reference}`
}

function labelLine({ transactionId, timeMs, knownAtMs, isFraud }: KnownLabel): string {
  const word = isFraud ? 'fraud' : 'genuine'
  return `    label: ${safe(transactionId)}  ${isoText(timeMs)}  ${word}, known at ${isoText(knownAtMs)}`
}

/** The recorded row. Features have names only when the feature list is that of this build. */
function recordedOnly({ block, index }: ExplainedDecision): readonly {
  readonly definition: FeatureDefinition
  readonly value: number
  readonly state: string
}[] {
  if (block.featureListHash !== FEATURE_LIST_HASH) return []
  const { values, states } = recordedBatchOf(block).rowAt(index)
  return FEATURES.map((definition, at) => {
    const value = values[at]
    const state = FEATURE_STATES[states[at] as number]
    assert(value !== undefined && state !== undefined, 'The block has every feature.')
    return { definition, value, state }
  })
}

function windowOf(
  definition: FeatureDefinition,
  eventTimeMs: number,
): { readonly afterMs: number; readonly untilMs: number } | null {
  if (definition.windowMs === 0) return null
  const longMs = 'longWindowMs' in definition ? definition.longWindowMs : 0
  const untilMs = eventTimeMs - definition.delayMs
  return { afterMs: untilMs - Math.max(definition.windowMs, longMs), untilMs }
}

/** The list of features as lines. */
export function listLines(): readonly string[] {
  const rows = FEATURES.map((definition, index) => {
    const { name, entity, windowMs, delayMs, unit, sentence } = definition
    const window = windowMs === 0 ? '-' : spanWords(windowMs)
    const delay = delayMs === 0 ? '' : `, ${spanWords(delayMs)} ago`
    return [String(index + 1), name, entity, window + delay, unit, sentence]
  })
  return tableLines(rows, { align: 'r' })
}

function numberOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Cleans ids, which come from outside: no control characters, no card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
