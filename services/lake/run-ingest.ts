// The lake's writer as a process: takes until it is stopped, tells by metrics where it stands, and tries a batch that
// fails its checks again from the topics, so that a fault that passes needs nobody and one that stays is seen.

import { setInterval } from 'node:timers'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { isSluiceError, type SluiceError } from '../core/errors.ts'
import { NO_ROWS, addRows } from '../core/lake/erasure.ts'
import { closeAll, type Closable } from '../platform/lifecycle.ts'
import { createLakeTelemetry, type LakeTelemetry } from '../platform/metrics/lake-telemetry.ts'
import { openMetricsServer } from '../platform/metrics/metrics-server.ts'
import type { FlushReport } from './flush.ts'
import { IngestGauge } from './ingest-gauge.ts'
import { ingest, type IngestOptions, type IngestSummary } from './ingest.ts'
import { openTopicEnds } from './topic-ends.ts'

/** How often metrics say where the writer stands. */
const STANDING_MS = 5_000
/** Before a batch that failed its checks is tried again. */
const RETRY_MS = 30_000

export interface IngestServiceOptions extends Omit<
  IngestOptions,
  'until' | 'onReady' | 'onChecked' | 'onErased'
> {
  readonly metrics: { readonly host: string; readonly port: number }
  /** Before a failed batch is tried again; tests wait for less. */
  readonly retryMs?: number
  /** Each time that the reader's place is fixed. */
  readonly onReady: (metricsPort: number) => void
  readonly onErased: NonNullable<IngestOptions['onErased']>
  /** A batch has failed its checks, and is taken from the topics again. */
  readonly onFailedBatch: (error: SluiceError, retryMs: number) => void
}

/**
 * Takes until the signal; what was taken by then is written before it returns.
 * @throws SluiceError as ingest, but not for a batch that fails its checks.
 */
export async function runIngest(
  options: IngestServiceOptions,
  signal: AbortSignal,
): Promise<IngestSummary> {
  const telemetry = createLakeTelemetry()
  const opened: Closable[] = []
  try {
    const metrics = await openMetricsServer({
      ...options.metrics,
      registry: telemetry.registry,
      readiness: () => ({
        isReady: telemetry.isFollowing,
        details: { batchFailing: telemetry.isFailing },
      }),
    })
    opened.push(metrics)
    const ends = openTopicEnds(options, options.topicPrefix)
    opened.push(ends)
    const gauge = new IngestGauge(telemetry, ends, options.clock)
    await gauge.readNewest(options.folder)
    const timer = setInterval(() => {
      void gauge.tell()
    }, STANDING_MS)
    opened.push({
      close: () => {
        clearInterval(timer)
        return Promise.resolve()
      },
    })
    return await attempts(options, { telemetry, gauge, metricsPort: metrics.port }, signal)
  } finally {
    await closeAll(opened)
  }
}

interface Parts {
  readonly telemetry: LakeTelemetry
  readonly gauge: IngestGauge
  readonly metricsPort: number
}

/** Ingests until the signal, beginning anew after each batch that its checks have kept out. */
async function attempts(
  options: IngestServiceOptions,
  { telemetry, gauge, metricsPort }: Parts,
  signal: AbortSignal,
): Promise<IngestSummary> {
  const { events } = gauge
  const { retryMs = RETRY_MS, onFailedBatch } = options
  let done: IngestSummary = { rows: NO_ROWS, files: 0, bytes: 0, commits: 0, unreadable: 0 }
  const attempt: { hasFailedCheck: boolean } = { hasFailedCheck: false }
  const watched: IngestOptions = {
    ...options,
    until: 'stop',
    onChecked: (results) => {
      attempt.hasFailedCheck = results.some(({ status }) => status === 'failed')
      events.onChecked(results)
    },
    onFlush: (report) => {
      done = withReport(done, report)
      events.onFlush(report)
      options.onFlush(report)
    },
    onMerge: (report) => {
      events.onMerge(report)
      options.onMerge(report)
    },
    onErased: (summary) => {
      events.onErased(summary)
      options.onErased(summary)
    },
    onReady: (status) => {
      gauge.follow(status)
      options.onReady(metricsPort)
    },
  }
  while (!signal.aborted) {
    try {
      await ingest(watched, signal).finally(() => {
        telemetry.following(false)
      })
    } catch (error) {
      if (!attempt.hasFailedCheck || !isSluiceError(error, 'SLUICE_LAKE_DAMAGED')) throw error
      attempt.hasFailedCheck = false
      telemetry.failing(true)
      onFailedBatch(error, retryMs)
      await sleepMs(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return done
}

function withReport(sum: IngestSummary, report: FlushReport): IngestSummary {
  return {
    rows: addRows(sum.rows, report.rows),
    files: sum.files + report.files,
    bytes: sum.bytes + report.bytes,
    commits: sum.commits + 1,
    unreadable: sum.unreadable + report.unreadable,
  }
}
