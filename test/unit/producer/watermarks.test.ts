// Goal: the guarantees of watermarks hold for any stream in time order. Method: streams with gaps around
// the limits of an interval, checked against a simple oracle.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { END_OF_STREAM_MS, streamTimeMs, withWatermarks } from '../../../services/producer/index.ts'
import type { ProducedEvent, StreamEvent } from '../../../services/producer/index.ts'
import {
  INTERVAL_EVENTS,
  INTERVAL_EVENTS_MAX,
  INTERVAL_MS,
  INTERVAL_MS_MAX,
} from '../../../services/producer/watermarks.ts'
import { labelAt, transactionAt } from './sample-event.ts'

// A run of events with equal gaps: short streams would never fill an interval.
const run = fc.record({
  count: fc.constantFrom(1, 10, INTERVAL_EVENTS - 1, INTERVAL_EVENTS, 2_500),
  gapMs: fc.constantFrom(0, 1, 50, 60, 61, INTERVAL_MS),
  labelEvery: fc.constantFrom(1, 2, 7, 1_000_000),
})
const stream = fc.array(run, { maxLength: 6 }).map((runs) => {
  let timeMs = 1_700_000_000_000
  return runs.flatMap(({ count, gapMs, labelEvery }) =>
    Array.from({ length: count }, (_, index) => {
      timeMs += gapMs
      return (index + 1) % labelEvery === 0 ? labelAt(timeMs) : transactionAt(timeMs)
    }),
  )
})

async function produced(events: readonly StreamEvent[]): Promise<readonly ProducedEvent[]> {
  const all: ProducedEvent[] = []
  for await (const event of withWatermarks(events)) all.push(event)
  return all
}

test('nothing at or before a watermark follows it in its topic', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (events) => {
      const lastMs = { transactions: -1, labels: -1 }
      for (const event of await produced(events)) {
        if (event.kind === 'watermark') {
          ok(event.timeMs > lastMs[event.topic], 'watermarks grow')
          lastMs[event.topic] = event.timeMs
        } else {
          const topic = event.kind === 'label' ? 'labels' : 'transactions'
          ok(streamTimeMs(event) > lastMs[topic])
        }
      }
    }),
    { numRuns: 40 },
  )
})

test('a transaction comes after all labels known by then, and after a labels watermark that covers it', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (events) => {
      let labelsWatermarkMs = -1
      for (const event of await produced(events)) {
        if (event.kind === 'watermark' && event.topic === 'labels') labelsWatermarkMs = event.timeMs
        if (event.kind === 'watermark' && event.topic === 'transactions') {
          strictEqual(event.timeMs, labelsWatermarkMs, 'each interval ends at one time')
        }
        if (event.kind === 'transaction') ok(streamTimeMs(event) <= labelsWatermarkMs)
      }
    }),
    { numRuns: 40 },
  )
})

test('every event is passed on once, each kind in order, and the end is announced on both topics', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (events) => {
      const all = await produced(events)
      for (const kind of ['transaction', 'label'] as const) {
        deepStrictEqual(
          all.filter((event) => event.kind === kind),
          events.filter((event) => event.kind === kind),
        )
      }
      const ends = all.filter(
        (event) => event.kind === 'watermark' && event.timeMs === END_OF_STREAM_MS,
      )
      strictEqual(ends.length, 2)
      deepStrictEqual(all.at(-1), {
        kind: 'watermark',
        topic: 'transactions',
        timeMs: END_OF_STREAM_MS,
      })
    }),
    { numRuns: 40 },
  )
})

test('an interval ends at the next change of time once it is full, however dense the stream is', async () => {
  const events = Array.from({ length: INTERVAL_EVENTS_MAX + 10 }, (_, index) =>
    transactionAt(1_700_000_000_000 + Math.floor(index / 4)),
  )
  const all = await produced(events)
  const ends = all.flatMap((event, index) =>
    event.kind === 'watermark' && event.topic === 'transactions' ? [index] : [],
  )
  // Three watermarks precede the end of the first interval: two that open the stream, and one of its labels.
  deepStrictEqual(ends.slice(0, 2), [1, INTERVAL_EVENTS_MAX + 3])
})

test('a sparse stream is divided by time, so that partitions never wait for messages that they delay', async () => {
  const events = Array.from({ length: 50 }, (_, hour) =>
    transactionAt(1_700_000_000_000 + hour * 3_600_000),
  )
  let watermarkMs = -1
  for (const event of await produced(events)) {
    if (event.kind === 'watermark' && event.topic === 'transactions') watermarkMs = event.timeMs
    if (event.kind === 'transaction') ok(streamTimeMs(event) - watermarkMs <= INTERVAL_MS_MAX)
  }
})

test('an empty stream ends at once', async () => {
  deepStrictEqual(
    (await produced([])).map((event) => event.kind),
    ['watermark', 'watermark'],
  )
})
