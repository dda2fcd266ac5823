// One run of the producer: reads events from a source, follows the schedule, sends or prints them, and counts.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as sleepMs } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import type { SkippedRows } from '../core/files/row-reader.ts'
import {
  type KafkaSinkOptions,
  openKafkaSink,
  type ProducerCodecs,
  type Sink,
  writeEvent,
} from './kafka-sink.ts'
import { type Pace, Pacer, type Sleep, waitUntilDue } from './pacing.ts'
import { type OnMapping, openReplay, type Replay, type ReplayOptions } from './replay.ts'
import { FraudPatternCounter, type FraudPatternCounts, type StreamEvent } from './stream-event.ts'
import { END_OF_STREAM_MS, type ProducedEvent, withWatermarks } from './watermarks.ts'

/** Events after which the run yields to the event loop, for signals and broker responses. */
const EVENTS_PER_TURN = 256
const PROGRESS_MS = 1_000

export type ProducerSource =
  | { readonly kind: 'simulate'; readonly events: Iterable<StreamEvent> }
  | {
      readonly kind: 'replay'
      readonly replay: Pick<ReplayOptions, 'paths'> & Partial<ReplayOptions>
    }

export type ProducerTarget =
  | { readonly kind: 'kafka'; readonly kafka: KafkaSinkOptions; readonly codecs: ProducerCodecs }
  | { readonly kind: 'ndjson'; readonly output: Writable }

export interface ProducerOptions {
  readonly source: ProducerSource
  readonly target: ProducerTarget
  readonly pace: Pace
  /** Send watermarks, needed for an aligned replay. */
  readonly watermarks: boolean
  /** Limit on the wall-clock time; null for none. */
  readonly durationMs: number | null
  /** Share of transactions that start a trace, 0 to 1; 0 by default. */
  readonly traceRatio?: number
}

export interface ProducerDeps {
  readonly clock: Clock
  /** Stops the run: events already read are sent and acknowledged, and the summary is returned. */
  readonly signal?: AbortSignal
  /** Called about once a second. */
  readonly onProgress?: (progress: Summary) => void
  /** Called once for each different column mapping of a replay. */
  readonly onMapping?: OnMapping
}

/** Totals of a run, final or so far. */
export interface Summary {
  readonly transactions: number
  readonly labels: number
  /** Each counts once, however many partitions it was sent to. */
  readonly watermarks: number
  /** Messages acknowledged by the brokers; 0 in a dry run. */
  readonly acknowledged: number
  /** Skipped rows of a replay, by reason. */
  readonly skipped: SkippedRows
  readonly fraudPatterns: FraudPatternCounts
  readonly firstEventTimeMs: number | null
  readonly lastEventTimeMs: number | null
  readonly elapsedMs: number
  readonly transactionsPerSecond: number
  /** Delay of sending against the schedule. */
  readonly behindMs: number
  /** Cause of the run's end; null while it runs. */
  readonly end: 'source' | 'duration' | 'signal' | 'output' | null
}

/**
 * Runs until the source ends, the duration is over, or the signal; by then everything read has been acknowledged. The
 * final watermark is sent at a planned end, and not after a signal.
 * @throws SluiceError for bad options or input, or when Kafka fails; see openReplay and openKafkaSink.
 */
export async function runProducer(options: ProducerOptions, deps: ProducerDeps): Promise<Summary> {
  const { source, target } = options
  const replay = source.kind === 'replay' ? await openReplay(source.replay, deps.onMapping) : null
  const events = source.kind === 'simulate' ? source.events : replay
  assert(events !== null, 'A source that is not simulated is a replay.')
  const sink = target.kind === 'kafka' ? await openKafkaSink(target.kafka) : null
  const run = new Run(options, deps, sink, replay)
  const timer = setInterval(() => {
    deps.onProgress?.(run.summary(null))
  }, PROGRESS_MS)
  try {
    const output = outputOf(target, sink, options.traceRatio)
    const end = await run.sendAll(events, output)
    if (end === 'duration') await run.sendEndOfStream(output)
    await sink?.close()
    return run.summary(end)
  } catch (error) {
    // The first failure is reported; closing often fails for the same reason.
    await sink?.close().catch(() => undefined)
    throw error
  } finally {
    clearInterval(timer)
  }
}

interface Output {
  write(event: ProducedEvent, timestampMs: number): Promise<void> | undefined
  readonly isClosed: boolean
}

function outputOf(target: ProducerTarget, sink: Sink | null, traceRatio?: number): Output {
  if (target.kind === 'ndjson') return new NdjsonWriter(target.output)
  assert(sink !== null, 'A run to Kafka has a sink.')
  const { codecs } = target
  return {
    isClosed: false,
    write: (event, timestampMs) => writeEvent(event, timestampMs, codecs, sink, traceRatio),
  }
}

class Run {
  readonly #options: ProducerOptions
  readonly #deps: ProducerDeps
  readonly #sink: Sink | null
  readonly #replay: Replay | null
  readonly #pacer: Pacer
  readonly #startMs: number
  readonly #fraud = new FraudPatternCounter()
  #transactionCount = 0
  #labelCount = 0
  #watermarkCount = 0
  #firstEventTimeMs: number | null = null
  #lastEventTimeMs: number | null = null

  constructor(
    options: ProducerOptions,
    deps: ProducerDeps,
    sink: Sink | null,
    replay: Replay | null,
  ) {
    this.#options = options
    this.#deps = deps
    this.#sink = sink
    this.#replay = replay
    this.#pacer = new Pacer(options.pace, deps.clock)
    this.#startMs = deps.clock.monotonicMs()
  }

  async sendAll(
    events: Iterable<StreamEvent> | AsyncIterable<StreamEvent>,
    output: Output,
  ): Promise<Summary['end']> {
    const source = this.#options.watermarks ? withWatermarks(events) : events
    let untilTurn = EVENTS_PER_TURN
    for await (const event of source) {
      untilTurn -= 1
      if (untilTurn <= 0) {
        untilTurn = EVENTS_PER_TURN
        await nextTurn()
      }
      const end = this.#endReason() ?? (output.isClosed ? 'output' : null)
      if (end !== null) return end
      if (event.kind === 'transaction') {
        this.#pacer.scheduleTransaction(event.transaction.eventTimeMs)
        const isStopped = (): boolean => this.#endReason() !== null
        if (this.#pacer.dueInMs > 0) {
          if (!(await waitUntilDue(this.#pacer, this.#sleep, isStopped))) return this.#endReason()
          untilTurn = EVENTS_PER_TURN
        }
      }
      const room = output.write(event, this.#pacer.intendedMs)
      this.#count(event)
      if (room !== undefined) await room
    }
    return 'source'
  }

  /** Announces the end of the stream to all partitions after a planned early end. */
  async sendEndOfStream(output: Output): Promise<void> {
    if (!this.#options.watermarks) return
    for (const topic of ['labels', 'transactions'] as const) {
      const event = { kind: 'watermark', topic, timeMs: END_OF_STREAM_MS } as const
      await output.write(event, this.#pacer.intendedMs)
      this.#count(event)
    }
  }

  summary(end: Summary['end']): Summary {
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#startMs
    return {
      transactions: this.#transactionCount,
      labels: this.#labelCount,
      watermarks: this.#watermarkCount,
      acknowledged: this.#sink?.acknowledgedCount ?? 0,
      skipped: this.#replay?.skipped() ?? {},
      fraudPatterns: this.#fraud.counts(),
      firstEventTimeMs: this.#firstEventTimeMs,
      lastEventTimeMs: this.#lastEventTimeMs,
      elapsedMs: Math.round(elapsedMs),
      transactionsPerSecond:
        elapsedMs > 0 ? Math.round((this.#transactionCount * 1_000) / elapsedMs) : 0,
      behindMs: Math.max(0, Math.round(-this.#pacer.dueInMs)),
      end,
    }
  }

  readonly #sleep: Sleep = async (ms) => {
    // An abort ends the wait early; the loop then checks the signal.
    const { signal } = this.#deps
    await sleepMs(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
  }

  #endReason(): Summary['end'] {
    if (this.#deps.signal?.aborted === true) return 'signal'
    const { durationMs } = this.#options
    if (durationMs === null) return null
    const elapsedMs = this.#deps.clock.monotonicMs() - this.#startMs
    return elapsedMs >= durationMs ? 'duration' : null
  }

  #count(event: ProducedEvent): void {
    switch (event.kind) {
      case 'transaction':
        this.#transactionCount += 1
        this.#firstEventTimeMs ??= event.transaction.eventTimeMs
        this.#lastEventTimeMs = event.transaction.eventTimeMs
        if (event.fraudPattern !== null) this.#fraud.add(event.fraudPattern)
        break
      case 'label':
        this.#labelCount += 1
        break
      case 'watermark':
        this.#watermarkCount += 1
        break
    }
  }
}

/** The dry run: writes events as lines of JSON, without Kafka, and waits for a slow reader. */
export class NdjsonWriter {
  readonly #output: Writable
  #isClosed = false

  constructor(output: Writable) {
    this.#output = output
    // A reader such as head closes the pipe; that ends the run and is not an error.
    output.on('error', () => {
      this.#isClosed = true
    })
  }

  /** True once the reader has closed the pipe. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  write(event: ProducedEvent): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    return this.#output.write(`${JSON.stringify(event)}\n`) ? undefined : this.#drained()
  }

  async #drained(): Promise<void> {
    try {
      await once(this.#output, 'drain')
    } catch {
      this.#isClosed = true
    }
  }
}
