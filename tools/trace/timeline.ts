// The steps of one transaction, from its sender to the commit, with the time between them.

import { redactText } from '../../services/core/card-numbers.ts'
import { formatPosition, type MessagePosition } from '../../services/core/redrive.ts'
import type { AlertAction, DecisionRecord } from '../../services/core/wire/records.ts'
import { tableLines } from '../../services/cli/table.ts'

/** Maximum number of other decisions that are printed. */
const OTHERS_SHOWN = 20

/** A message and its time; null when the message is no longer in the log. */
export interface TimedPosition extends MessagePosition {
  readonly atMs: number | null
}

/** A decision, and the message with its batch. */
export interface TracedDecision {
  readonly decision: DecisionRecord
  /** The transaction. */
  readonly source: MessagePosition
  readonly produced: TimedPosition
  readonly decidedAtMs: number
  /** Null when it was not recorded. */
  readonly fetchedMs: number | null
  readonly batch: {
    readonly firstOffset: number
    readonly nextOffset: number
    readonly decisions: number
  }
}

/** An alert, its message and the end of its transaction. */
export interface TracedAlert {
  readonly alertId: string
  readonly action: AlertAction
  readonly produced: TimedPosition
  /** Null when its position is unknown. */
  readonly committed: TimedPosition | null
}

/** The known times of one transaction. */
export interface TracedTransaction {
  readonly transactionId: string
  readonly sentMs: number | null
  readonly traced: TracedDecision
  readonly committed: TimedPosition | null
  readonly alert: TracedAlert | null
  /** Further decisions about the id that were kept: repeats, revisions and other transactions with the same id. */
  readonly others: readonly TracedDecision[]
  readonly otherCount: number
}

export const STEPS = [
  'sent',
  'fetched',
  'decided',
  'produced',
  'alert produced',
  'committed',
  'alert committed',
] as const

export interface Step {
  readonly step: (typeof STEPS)[number]
  /** Null when unknown. */
  readonly atMs: number | null
  readonly sinceSentMs: number | null
  /** Since the last earlier step with a known time. */
  readonly sinceLastMs: number | null
  readonly position: MessagePosition | null
  readonly sentence: string
}

type Untimed = Pick<Step, 'step' | 'atMs' | 'position' | 'sentence'>

/** The steps in the order in which they happen. Clocks of several machines may give negative differences. */
export function timelineOf(transaction: TracedTransaction): readonly Step[] {
  const { sentMs } = transaction
  let lastMs: number | null = null
  return stepsOf(transaction).map((step) => {
    const { atMs } = step
    const timed = {
      ...step,
      sinceSentMs: between(sentMs, atMs),
      sinceLastMs: between(lastMs, atMs),
    }
    lastMs = atMs ?? lastMs
    return timed
  })
}

function between(fromMs: number | null, toMs: number | null): number | null {
  return fromMs === null || toMs === null ? null : toMs - fromMs
}

function stepsOf({ sentMs, traced, committed, alert }: TracedTransaction): readonly Untimed[] {
  const { decision, source, produced, decidedAtMs, fetchedMs, batch } = traced
  const others = batch.decisions === 1 ? 'alone' : `in a batch of ${batch.decisions} decisions`
  return [
    {
      step: 'sent',
      atMs: sentMs,
      position: source,
      sentence:
        sentMs === null
          ? 'The transaction is no longer in the log.'
          : 'The producer gave the transaction this time.',
    },
    {
      step: 'fetched',
      atMs: fetchedMs,
      position: { ...source, offset: batch.nextOffset - 1 },
      sentence:
        fetchedMs === null
          ? 'Its decision batch has no such header.'
          : 'The newest message of its batch reached the scorer.',
    },
    {
      step: 'decided',
      atMs: decidedAtMs,
      position: null,
      sentence: `The scorer had read the state and began to decide (${decision.outcome}, ${others}).`,
    },
    {
      step: 'produced',
      atMs: produced.atMs,
      position: produced,
      sentence: 'The scorer wrote the decision batch.',
    },
    ...(alert === null
      ? []
      : [
          {
            step: 'alert produced' as const,
            atMs: alert.produced.atMs,
            position: alert.produced,
            sentence: `The scorer wrote alert ${safe(alert.alertId)} (${alert.action}).`,
          },
        ]),
    committedStep('committed', committed, 'decision'),
    ...(alert === null ? [] : [committedStep('alert committed', alert.committed, 'alert')]),
  ]
}

function committedStep(step: Step['step'], committed: TimedPosition | null, what: string): Untimed {
  return {
    step,
    atMs: committed?.atMs ?? null,
    position: committed,
    sentence:
      committed === null
        ? 'The end of its Kafka transaction cannot be read.'
        : `The broker committed: the ${what} is visible to committed readers.`,
  }
}

/** Lines for people. */
export function traceLines(transaction: TracedTransaction): readonly string[] {
  const { transactionId, traced, others, otherCount } = transaction
  const steps = timelineOf(transaction)
  const isBack = steps.some(({ sinceLastMs }) => sinceLastMs !== null && sinceLastMs < 0)
  const more = otherCount - Math.min(others.length, OTHERS_SHOWN)
  return [
    `transaction ${safe(transactionId)}${kindText(traced)}`,
    '',
    ...tableLines(
      [
        ['time', 'since sent', 'since last', 'step', 'position', ''],
        ...steps.map(({ step, atMs, sinceSentMs, sinceLastMs, position, sentence }) => [
          atMs === null ? (step === 'fetched' ? 'not recorded' : 'not known') : isoText(atMs),
          spanText(sinceSentMs),
          spanText(sinceLastMs),
          step,
          position === null ? '' : formatPosition(position),
          sentence,
        ]),
      ],
      { align: 'lrr' },
    ),
    ...(isBack ? ['', 'A time before the one above it: clocks of machines differ.'] : []),
    ...(otherCount === 0 ? [] : ['', 'Other decisions about this id']),
    ...others.slice(0, OTHERS_SHOWN).map((other) => `    ${otherText(other)}`),
    ...(more > 0 ? [`    and ${more} more`] : []),
  ]
}

/** For programs: null for unknown values. */
export function traceJson(transaction: TracedTransaction): object {
  const { transactionId, traced, alert, others, otherCount } = transaction
  return {
    ...{ transactionId, ...placeJson(traced) },
    alertId: alert?.alertId ?? null,
    steps: timelineOf(transaction).map(({ position, ...step }) => ({
      ...step,
      position: position === null ? null : formatPosition(position),
    })),
    others: others.map(placeJson),
    otherCount,
  }
}

function placeJson({ decision, source, produced, decidedAtMs }: TracedDecision): object {
  const { outcome, revision, duplicateOfOffset, causeOffset } = decision
  return {
    source: formatPosition(source),
    decisionBatch: formatPosition(produced),
    ...{ outcome, revision, duplicateOfOffset, causeOffset, decidedAtMs },
  }
}

function kindText({ decision }: TracedDecision): string {
  const { duplicateOfOffset, revision } = decision
  if (duplicateOfOffset !== null)
    return `, a repeat of offset ${duplicateOfOffset}, whose decision is no longer in the log`
  return revision === 0 ? '' : `, revision ${revision}; its first decision is no longer in the log`
}

function otherText({ decision, source, produced, decidedAtMs }: TracedDecision): string {
  const { outcome, revision, duplicateOfOffset, causeOffset } = decision
  const at = `decided ${isoText(decidedAtMs)} in ${formatPosition(produced)}`
  const place = formatPosition(source)
  if (duplicateOfOffset !== null) return `${place}, a repeat of offset ${duplicateOfOffset}, ${at}`
  if (revision === 0) return `${place}, another transaction with the id, ${outcome}, ${at}`
  const cause =
    causeOffset === null ? '' : `, caused by the late transaction at offset ${causeOffset}`
  return `${place}, revision ${revision} to ${outcome}${cause}, ${at}`
}

function spanText(ms: number | null): string {
  return ms === null ? '' : `${ms} ms`
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Ids come from outside: removes control characters and card numbers. */
function safe(text: string): string {
  return redactText(text.replaceAll(/\p{Cc}/gu, '?'))
}
