// The summary of a demo that has an end: inputs and outputs, whether they match, and how fast it ran.

import type { Outcome } from '../../services/core/wire/records.ts'
import type { TallyResult } from './topic-tally.ts'
import { count, milliseconds, seconds } from './screen.ts'
import type { AlertStory } from './watch/alert-story.ts'

/** The JSON of --summary. Counts are those of an independent committed reader. */
export interface DemoSummary {
  readonly source: 'simulate' | 'replay'
  readonly startedAt: string
  readonly finishedAt: string
  /** Messages of the transactions topic other than watermarks. */
  readonly transactions: number
  readonly decisions: number
  /** Transactions that could not be decided. */
  readonly deadLetters: number
  readonly deadLettersByReason: Readonly<Record<string, number>>
  readonly labels: number
  readonly labelDeadLetters: number
  readonly watermarks: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  readonly alerts: Readonly<Record<'total' | 'flag' | 'block', number>>
  /** Revisions of alerts: blocks extended and released, decisions that a late payment changed. */
  readonly laterWords: number
  /** Decisions on a transaction id that was decided before. */
  readonly duplicates: number
  readonly repeatedAnswers: number
  readonly repeatedAlerts: number
  readonly missing: number
  readonly strays: number
  /** Decisions divided by the time from the first to the last decision batch; null for fewer than two batches. */
  readonly eventsPerSecond: number | null
  readonly eventToAlertMs: {
    readonly p50: number | null
    readonly p99: number | null
    readonly from: string
    readonly to: string
  }
  readonly backend: string | null
  readonly modelVersion: string | null
  readonly modelDigest: string | null
  readonly mode: string | null
  readonly alignment: string | null
  readonly node: string
  /** The fault that was made and the course of its alert; null without a fault. */
  readonly fault: AlertStory | null
  /** Contradictions, as sentences; empty when there are none. */
  readonly problems: readonly string[]
}

/** Facts of the run that are not in the topics. */
export interface RunFacts {
  readonly source: 'simulate' | 'replay'
  readonly startedAtMs: number
  readonly finishedAtMs: number
  /** Messages of the producer, and those that a fault added. */
  readonly sent: { readonly transactions: number; readonly labels: number }
  readonly fault: AlertStory | null
  /** False when the scorer stopped before everything was decided. */
  readonly isDecided: boolean
  /** Alerts that the subscriber received during the run. */
  readonly received: {
    readonly alerts: number
    readonly notRead: number
    readonly p50Ms: number | null
    readonly p99Ms: number | null
  }
}

/** Builds the summary and lists its contradictions. */
export function summarize(tally: TallyResult, run: RunFacts): DemoSummary {
  const { flag, block, release, unknown } = tally.alerts
  const { firstBatchMs, lastBatchMs } = tally
  const spanMs = firstBatchMs === null || lastBatchMs === null ? null : lastBatchMs - firstBatchMs
  return {
    source: run.source,
    startedAt: new Date(run.startedAtMs).toISOString(),
    finishedAt: new Date(run.finishedAtMs).toISOString(),
    transactions: tally.transactions,
    decisions: tally.decisions,
    deadLetters: tally.deadLetters,
    deadLettersByReason: tally.deadLettersByReason,
    labels: run.sent.labels,
    labelDeadLetters: tally.labelDeadLetters,
    watermarks: tally.watermarks,
    outcomes: tally.outcomes,
    alerts: { total: flag + block + release + unknown, flag, block },
    laterWords: tally.laterWords,
    duplicates: tally.duplicates,
    repeatedAnswers: tally.repeatedAnswers,
    repeatedAlerts: tally.repeatedAlerts,
    missing: tally.missing,
    strays: tally.strays,
    eventsPerSecond:
      spanMs !== null && spanMs > 0 ? Math.round((tally.decisions * 1_000) / spanMs) : null,
    eventToAlertMs: {
      p50: run.received.p50Ms,
      p99: run.received.p99Ms,
      from: "time stamp of the transaction's record",
      to: 'receipt of the alert by a committed reader',
    },
    backend: tally.lastBatch?.backend ?? null,
    modelVersion: tally.lastBatch?.modelVersion ?? null,
    modelDigest: tally.lastBatch?.modelDigest ?? null,
    mode: tally.lastBatch?.mode ?? null,
    alignment: tally.lastBatch?.alignment ?? null,
    node: process.versions.node,
    fault: run.fault,
    problems: problemsOf(tally, run),
  }
}

function problemsOf(tally: TallyResult, run: RunFacts): readonly string[] {
  const problems: string[] = []
  const check = (holds: boolean, sentence: string): void => {
    if (!holds) problems.push(sentence)
  }
  const { transactions, decisions, deadLetters, alerts } = tally
  const alertCount = alerts.flag + alerts.block + alerts.release + alerts.unknown + tally.laterWords
  check(run.isDecided, 'The scorer stopped before everything was decided.')
  check(
    transactions === decisions + deadLetters,
    `${transactions} transactions are not ${decisions} decisions and ${deadLetters} dead letters.`,
  )
  check(
    run.sent.transactions === transactions,
    `${run.sent.transactions} transactions were sent, and ${transactions} are in the topic.`,
  )
  check(tally.missing === 0, `${tally.missing} transactions have no answer.`)
  check(tally.repeatedAnswers === 0, `${tally.repeatedAnswers} answers are there twice.`)
  check(tally.repeatedAlerts === 0, `${tally.repeatedAlerts} alert revisions are there twice.`)
  check(tally.strays === 0, `${tally.strays} answers are about no transaction.`)
  check(tally.notRead === 0, `${tally.notRead} messages of the output topics cannot be decoded.`)
  check(
    run.received.alerts + run.received.notRead === alertCount,
    `The subscriber received ${run.received.alerts} alerts of ${alertCount}.`,
  )
  return [...problems, ...(run.fault?.problems ?? [])]
}

/** The summary for people. */
export function summaryLines(summary: DemoSummary): readonly string[] {
  const { transactions, decisions, deadLetters, alerts, eventToAlertMs } = summary
  const lines = [
    `${count(transactions)} transactions in = ${count(decisions)} decisions + ${count(deadLetters)} dead letters` +
      ` (${count(summary.duplicates)} of the decisions on duplicates)`,
    `${count(alerts.total)} alerts: ${count(alerts.flag)} flag, ${count(alerts.block)} block` +
      `, and ${count(summary.laterWords)} later words on them (${summary.mode ?? 'no'} mode)`,
    `0 expected, found: ${summary.missing} missing, ${summary.repeatedAnswers + summary.repeatedAlerts} repeated,` +
      ` ${summary.strays} stray`,
    `${summary.eventsPerSecond === null ? 'no' : count(summary.eventsPerSecond)} events/s from first to last commit`,
    `event to alert p50 ${milliseconds(eventToAlertMs.p50)}, p99 ${milliseconds(eventToAlertMs.p99)}` +
      ` (${eventToAlertMs.from} to ${eventToAlertMs.to})`,
    `model ${summary.modelVersion ?? 'none'} on ${summary.backend ?? 'no backend'}, Node ${summary.node}`,
  ]
  return [
    ...lines,
    ...faultLines(summary.fault),
    ...summary.problems.map((problem) => `WRONG: ${problem}`),
  ]
}

function faultLines(fault: AlertStory | null): readonly string[] {
  if (fault === null || fault.firedAfterMs === null || fault.clearedAfterMs === null) return []
  return [
    `fault ${fault.fault}: ${fault.alert} fired ${seconds(fault.firedAfterMs)} after the fault and cleared ` +
      `${seconds(fault.clearedAfterMs)} after its mending`,
  ]
}
