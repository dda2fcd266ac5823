// The status line: once a second, figures from the scorer's metrics and from the demo's own subscriber.

import { fetchMetricsPage, metricsUrl, sumOfSeries } from '../../services/cli/metrics-page.ts'
import type { DemoProducer } from './demo-producer.ts'
import { count, milliseconds, type Screen } from './screen.ts'
import type { ScorerProcess } from './scorer-process.ts'
import type { Subscriber } from './subscriber.ts'

const EVERY_MS = 1_000

/** Values of the status line. */
export interface StatusSources {
  readonly scorer: Pick<ScorerProcess, 'metricsPort'>
  readonly subscriber: Pick<Subscriber, 'counts' | 'recent'>
  readonly producer: Pick<DemoProducer, 'eventTimeMs'>
  readonly screen: Screen
}

/** Figures of one moment. */
export interface Status {
  readonly eventsPerSecond: number
  readonly lagMessages: number | null
  readonly deadLetters: number
  readonly p99Ms: number | null
  readonly flags: number
  readonly blocks: number
  readonly eventTimeMs: number | null
}

/** Shows the status until the returned function is called. */
export function showStatus(sources: StatusSources): () => void {
  const { scorer, subscriber, producer, screen } = sources
  let before = { decisions: 0, atMs: performance.now() }
  let isAsking = false
  let isClosed = false
  const show = async (): Promise<void> => {
    const numbers = await readScorerNumbers(scorer.metricsPort)
    if (numbers === null || isClosed) return
    const atMs = performance.now()
    const eventsPerSecond =
      ((numbers.decisions - before.decisions) * 1_000) / Math.max(1, atMs - before.atMs)
    before = { decisions: numbers.decisions, atMs }
    screen.status(
      statusText({
        eventsPerSecond,
        lagMessages: numbers.lagMessages,
        deadLetters: numbers.deadLetters,
        p99Ms: subscriber.recent.percentileMs(0.99),
        flags: subscriber.counts.flag,
        blocks: subscriber.counts.block,
        eventTimeMs: producer.eventTimeMs,
      }),
    )
  }
  const timer = setInterval(() => {
    if (isAsking) return
    isAsking = true
    void show().finally(() => {
      isAsking = false
    })
  }, EVERY_MS)
  return () => {
    isClosed = true
    clearInterval(timer)
  }
}

/** The line itself. */
export function statusText(status: Status): string {
  const parts = [
    `${count(Math.round(status.eventsPerSecond))} events/s`,
    `lag ${status.lagMessages === null ? 'unknown' : count(status.lagMessages)}`,
    `p99 event to alert ${milliseconds(status.p99Ms)}`,
    `${count(status.flags + status.blocks)} alerts (${count(status.blocks)} block)`,
  ]
  if (status.deadLetters > 0) parts.push(`${count(status.deadLetters)} dead letters`)
  if (status.eventTimeMs !== null) {
    parts.push(`event time ${new Date(status.eventTimeMs).toISOString().slice(0, 16)}`)
  }
  return parts.join(' | ')
}

// The figures of the status line, read from the scorer's /metrics as Prometheus would.

/** Totals since the scorer's start. */
export interface ScorerNumbers {
  readonly decisions: number
  /** Null while no partition reports it. */
  readonly lagMessages: number | null
  readonly deadLetters: number
}

/** Reads the scorer's page; null when it does not answer in time, for example during a start or stop. */
export async function readScorerNumbers(port: number): Promise<ScorerNumbers | null> {
  try {
    return parseScorerNumbers(await fetchMetricsPage(metricsUrl(`127.0.0.1:${port}`), 'the scorer'))
  } catch {
    return null // Retried in a second; a dead scorer is reported elsewhere.
  }
}

/** Reads the figures from the text of /metrics; a counter that has not counted yet is 0. */
export function parseScorerNumbers(text: string): ScorerNumbers {
  return {
    decisions: sumOfSeries(text, 'sluice_decisions_total') ?? 0,
    lagMessages: sumOfSeries(text, 'sluice_lag_messages'),
    deadLetters: sumOfSeries(text, 'sluice_dead_letters_total') ?? 0,
  }
}
