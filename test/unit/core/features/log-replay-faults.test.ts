// Goal: every deviation from the log shows, at its place. Method: controls for log-replay.test.ts. A sound live run is
// replayed with one thing changed: a lost event, a wrong clock, an altered row, lost labels.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE_NAMES } from '../../../../services/core/features/catalogue/feature-list.ts'
import type { RecordedBatch } from '../../../../services/core/features/provenance/replay-records.ts'
import { HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'
import { streamOf } from '../../../support/plain-steps.ts'
import { dealLive, runLive, type RecordedLog } from '../../../support/recorded-partitions.ts'
import { replayOf, type Fed, type Tally } from '../../../support/replay-tally.ts'

const PARTITIONS = 4

/** Replays a sound live run, with its log or batches changed. */
function withFault(
  change: (logs: readonly RecordedLog[], batches: readonly RecordedBatch[]) => Partial<Fed>,
): Tally {
  const logs = dealLive(streamOf(600), PARTITIONS)
  const batches = runLive(logs, [])
  assert.deepEqual([...replayOf({ logs, batches, chunks: [50] }).mismatches], [])
  return replayOf({ logs, batches, chunks: [50], ...change(logs, batches) })
}

/** Changes entries of one partition. */
function changed(
  logs: readonly RecordedLog[],
  change: (log: RecordedLog) => Partial<RecordedLog>,
): readonly RecordedLog[] {
  const busiest = logs.reduce((most, log) =>
    log.entries.length > most.entries.length ? log : most,
  )
  return logs.map((log) => (log === busiest ? { ...log, ...change(log) } : log))
}

test('control: an event that the scorer lost shows in counts of its card and its terminal', () => {
  // The log has an event that the live state lacked, which equals a log without it.
  const tally = withFault((logs) => ({
    logs: changed(logs, ({ entries }) => ({ entries: entries.filter((_, index) => index !== 20) })),
  }))
  assert.ok((tally.mismatches.get('card_count_30d') ?? 0) > 0)
  assert.ok((tally.mismatches.get('terminal_count_30d') ?? 0) > 0)
})

test('control: a partition whose clock is wrong shows', () => {
  const tally = withFault((logs) => ({
    logs: changed(logs, ({ entries }) => ({
      entries: entries.map((entry) =>
        entry.kind === 'transaction'
          ? {
              ...entry,
              transaction: {
                ...entry.transaction,
                eventTimeMs: entry.transaction.eventTimeMs + 5 * HOUR_MS,
              },
            }
          : entry,
      ),
    })),
  }))
  assert.ok((tally.mismatches.get('hour_of_day') ?? 0) > 0)
  assert.ok((tally.mismatches.get('terminal_count_1d') ?? 0) > 0)
})

test('control: one altered value of one row is one mismatch', () => {
  const tally = withFault((_, batches) => ({
    batches: batches.map((batch, index) =>
      index !== 30
        ? batch
        : {
            ...batch,
            rowAt: (row) => {
              const recorded = batch.rowAt(row)
              if (row === 0) recorded.values[5] = (recorded.values[5] ?? 0) + 1e-9
              return recorded
            },
          },
    ),
  }))
  assert.deepEqual([...tally.mismatches], [[FEATURE_NAMES[5], 1]])
})

test('control: a label that is left out shows in the features that count frauds', () => {
  const tally = withFault((logs) => ({
    logs: logs.map((log) => ({
      ...log,
      labels: log.labels.map((label) => ({
        kind: 'watermark' as const,
        offset: label.offset,
        timeMs: STREAM_START_MS,
      })),
    })),
  }))
  const names = [...tally.mismatches.keys()]
  assert.ok(names.includes('terminal_fraud_share_30d'))
  assert.ok(
    names.every((name) => /fraud/.test(name)),
    names.join(),
  )
})
