import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { runProducer } from '../../../services/producer/index.ts'
import { simulate } from '../../../tools/simulator/simulate.ts'
import type { ProducedEvent, ProducerOptions } from '../../../services/producer/index.ts'
import { ManualClock } from './manual-clock.ts'

const START_MS = 1_800_000_000_000

/** Collects the lines, and calls back for each. */
function collector(onLine: (count: number) => void = () => undefined): {
  readonly output: Writable
  readonly events: ProducedEvent[]
} {
  const events: ProducedEvent[] = []
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      events.push(JSON.parse(chunk.toString()) as ProducedEvent)
      onLine(events.length)
      done()
    },
  })
  return { output, events }
}

function simulated(output: Writable, options: Partial<ProducerOptions> = {}): ProducerOptions {
  return {
    source: {
      kind: 'simulate',
      events: simulate({ transactionsMax: 300, genuineLabelShare: 0.1 }),
    },
    target: { kind: 'ndjson', output },
    pace: { kind: 'flat_out' },
    watermarks: false,
    durationMs: null,
    ...options,
  }
}

test('everything that the source yields is written in order and counted', async () => {
  const { output, events } = collector()
  const clock = new ManualClock(START_MS)
  const summary = await runProducer(simulated(output), { clock })
  const oracle = [...simulate({ transactionsMax: 300, genuineLabelShare: 0.1 })]
  deepStrictEqual(events, oracle)
  strictEqual(summary.end, 'source')
  strictEqual(summary.transactions, 300)
  strictEqual(summary.labels, oracle.length - 300)
  strictEqual(summary.watermarks, 0)
})

test('watermarks end the stream on both topics', async () => {
  const { output, events } = collector()
  const options = simulated(output, { watermarks: true })
  const summary = await runProducer(options, { clock: new ManualClock(START_MS) })
  ok(summary.watermarks >= 2)
  deepStrictEqual(events.at(-1), {
    kind: 'watermark',
    topic: 'transactions',
    timeMs: 4_102_444_800_000,
  })
})

test('a signal ends the run after events already read are written', async () => {
  const stop = new AbortController()
  const { output, events } = collector((count) => {
    if (count === 50) stop.abort()
  })
  const options = simulated(output, { source: { kind: 'simulate', events: simulate({}) } })
  const summary = await runProducer(options, {
    clock: new ManualClock(START_MS),
    signal: stop.signal,
  })
  strictEqual(summary.end, 'signal')
  strictEqual(events.length, 50)
})

test('a signal ends the wait for a transaction that is due much later', async () => {
  const stop = new AbortController()
  const { output, events } = collector(() => {
    stop.abort()
  })
  // The manual clock never moves, so the second transaction is never due.
  const options = simulated(output, { pace: { kind: 'rate', perSecond: 0.001 } })
  const summary = await runProducer(options, {
    clock: new ManualClock(START_MS),
    signal: stop.signal,
  })
  strictEqual(summary.end, 'signal')
  strictEqual(events.length, 1)
})

test('a duration ends the run by the clock, with final watermarks', async () => {
  const clock = new ManualClock(START_MS)
  const { output, events } = collector(() => {
    clock.advanceMs(10)
  })
  const options = simulated(output, {
    source: { kind: 'simulate', events: simulate({ genuineLabelShare: 0 }) },
    durationMs: 1_000,
  })
  const summary = await runProducer(options, { clock })
  strictEqual(summary.end, 'duration')
  strictEqual(events.length, 100)
  const withWatermarks = collector(() => {
    clock.advanceMs(10)
  })
  const aligned = { ...options, watermarks: true }
  const target = { kind: 'ndjson', output: withWatermarks.output } as const
  const source = { kind: 'simulate', events: simulate({ genuineLabelShare: 0 }) } as const
  await runProducer({ ...aligned, target, source }, { clock })
  deepStrictEqual(
    withWatermarks.events.slice(-2).map((event) => event.kind),
    ['watermark', 'watermark'],
  )
})

test('a closed pipe ends the run without an error', async () => {
  const output = new PassThrough()
  output.once('data', () => {
    output.destroy(new Error('EPIPE'))
  })
  const options = simulated(output, { source: { kind: 'simulate', events: simulate({}) } })
  const summary = await runProducer(options, { clock: new ManualClock(START_MS) })
  strictEqual(summary.end, 'output')
})
