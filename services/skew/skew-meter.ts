// The skew meter as a process: follows the topics, recomputes its sample, and tells what differs, until it is stopped.

import { setInterval } from 'node:timers'
import type { Clock } from '../core/clock.ts'
import { DEFAULT_RATES } from '../core/currency.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import type { ReplayedRow } from '../core/features/provenance/replay-rows.ts'
import { HashSample } from '../core/features/provenance/replay-sample.ts'
import { NOT_COMPARED, VERDICT } from '../core/features/provenance/row-comparison.ts'
import { type Codecs, createCodecs } from '../core/wire/codecs.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { Logger } from '../platform/log.ts'
import { type MetricsServer, openMetricsServer } from '../platform/metrics/metrics-server.ts'
import {
  type ComparedCounts,
  createSkewTelemetry,
  type SkewTelemetry,
} from '../platform/metrics/skew-telemetry.ts'
import { openSchemaRegistry } from '../platform/registry/http-registry.ts'
import type { SkewConfig } from './config.ts'
import { feedReplay, type FeedStatus } from './replay-feed.ts'

const STANDING_MS = 5_000

/** Differences that are logged; the metrics count all of them. */
const LOGGED_MAX = 1_000

export interface SkewOptions {
  readonly config: SkewConfig
  /** From the first message that is kept, or from records of this time on, ms. */
  readonly from: 'beginning' | number
  readonly clock: Clock
  readonly log: Logger
  /** Once the metrics can be read and the reader's place is fixed. */
  readonly onReady?: (metricsPort: number) => void
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or what a schema registry throws. */
export async function runSkewMeter(options: SkewOptions, signal: AbortSignal): Promise<void> {
  const { config, log } = options
  const { topicPrefix, schemaRegistryUrl: url } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const telemetry = createSkewTelemetry()
  const metrics = await openMetricsServer({
    ...config.metrics,
    registry: telemetry.registry,
    readiness: () => ({ isReady: telemetry.isFollowing, details: {} }),
  })
  const meter = new Meter(options, telemetry)
  const timer = setInterval(() => {
    meter.tell()
  }, STANDING_MS)
  try {
    await feedReplay(
      {
        brokers: config.brokers,
        security: config.security,
        name: 'sluice-skew',
        topicPrefix,
        codecs: createCodecs(content),
        rates: DEFAULT_RATES,
        eventAheadMsMax: config.eventAheadMsMax,
        from: options.from,
        until: 'stop',
        sample: meter.sample,
        onReplayed: (row) => {
          meter.counts.add(row)
        },
        onReady: (status) => {
          meter.follow(status, metrics)
        },
        onStep: () => {
          meter.tell()
          return false
        },
      },
      signal,
    )
  } finally {
    clearInterval(timer)
    telemetry.following(false)
    await metrics.close()
    log.info({}, 'Skew meter stopped.')
  }
}

class Meter {
  readonly counts = new SkewCounts()
  readonly sample: HashSample
  readonly #options: SkewOptions
  readonly #telemetry: SkewTelemetry
  #status: FeedStatus | null = null
  #logged = 0
  #unreadable = 0
  #share: number

  constructor(options: SkewOptions, telemetry: SkewTelemetry) {
    this.#options = options
    this.#telemetry = telemetry
    this.#share = options.config.sample
    this.sample = new HashSample(this.#share)
  }

  follow(status: FeedStatus, { port }: MetricsServer): void {
    const { log, onReady } = this.#options
    this.#status = status
    this.#telemetry.following(true)
    log.info({ metricsPort: port, sample: this.#share }, 'Skew meter follows the topics.')
    onReady?.(port)
  }

  /** Moves what was counted to the metrics, and says where the meter stands. */
  tell(): void {
    const { counts, first } = this.counts.take()
    this.#telemetry.compared(counts)
    const { log, clock } = this.#options
    if (first !== null && this.#logged < LOGGED_MAX) {
      this.#logged += 1
      log.warn({ ...first }, 'A decision was not made from what the log says.')
    }
    if (this.sample.share < this.#share) {
      this.#share = this.sample.share
      log.warn({ sample: this.#share }, 'The sample outgrew its memory and was halved.')
    }
    if (this.#status === null) return
    const { replay, isCaughtUp, unreadableBlocks } = this.#status
    this.#telemetry.blocksUnreadable(unreadableBlocks - this.#unreadable)
    this.#unreadable = unreadableBlocks
    const sinceMs = isCaughtUp ? replay.oldestWaitingMs : replay.newestReplayedMs
    this.#telemetry.stood({
      behindMs: sinceMs === null ? 0 : Math.max(0, clock.nowMs() - sinceMs),
      waitingBlocks: replay.waitingBlocks,
      sample: this.sample.share,
      heldValues: replay.size,
    })
  }
}

// Skew measured once and within bounds, for who has no meter at hand: reads the topics from their beginning to where they
// end now, recomputes what fits into memory, and counts what differs among the decisions of a time.

export interface MeasureOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
  /** As the scorer has it. */
  readonly eventAheadMsMax: number
  /** Decisions made before, by the scorer's clock, are not counted. */
  readonly decidedFromMs: number
  /** Messages of all topics after which it ends without having come to the end. */
  readonly messagesMax: number
  readonly onProgress: (messages: number) => void
}

export interface MeasuredSkew {
  readonly decisions: number
  /** Values of features. */
  readonly compared: number
  readonly mismatches: number
  readonly messages: number
  /** Share of cards and entities that fitted into memory. */
  readonly sample: number
  /** False when `messagesMax` was reached before the end: then what was counted is of the oldest decisions. */
  readonly isComplete: boolean
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or the signal's reason. */
export async function measureSkew(
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<MeasuredSkew> {
  const { decidedFromMs, messagesMax, onProgress, ...feed } = options
  const counts = new SkewCounts()
  const sample = new HashSample(1)
  let isCut = false
  const { messages } = await feedReplay(
    {
      ...feed,
      name: 'sluice-skew',
      rates: DEFAULT_RATES,
      from: 'beginning',
      until: 'end',
      sample,
      onReplayed: (row) => {
        if (row.block.decidedAtMs >= decidedFromMs) counts.add(row)
      },
      onStep: (_, read) => {
        onProgress(read)
        isCut ||= read >= messagesMax
        return isCut
      },
    },
    signal,
  )
  signal.throwIfAborted()
  const { decisions, compared, mismatches } = counts.take().counts
  return {
    decisions,
    compared: sumOf(compared),
    mismatches: sumOf(mismatches),
    messages,
    sample: sample.share,
    isComplete: !isCut,
  }
}

function sumOf(counts: Uint32Array): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

// Counts what a replay says of rows, until somebody takes the counts: telling each value apart costs too much.

/** The first difference of a stretch, for the log. */
export interface Difference {
  readonly partition: number
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly feature: string
  readonly recorded: number
  readonly recomputed: number
  /** Features of this decision that differ. */
  readonly features: number
}

export class SkewCounts {
  #decisions = 0
  #compared = new Uint32Array(FEATURE_COUNT)
  #mismatches = new Uint32Array(FEATURE_COUNT)
  #notCompared = new Uint32Array(NOT_COMPARED.length)
  #first: Difference | null = null

  add(row: ReplayedRow): void {
    const { verdicts } = row
    this.#decisions += 1
    let differing = 0
    for (let index = 0; index < FEATURE_COUNT; index += 1) {
      const verdict = verdicts[index] ?? VERDICT.other
      if (verdict >= VERDICT.other) {
        bump(this.#notCompared, verdict - VERDICT.other)
        continue
      }
      bump(this.#compared, index)
      if (verdict !== VERDICT.differs) continue
      bump(this.#mismatches, index)
      differing += 1
    }
    if (differing > 0) this.#first ??= differenceOf(row, differing)
  }

  /** Hands over what was counted since the last time. */
  take(): { readonly counts: ComparedCounts; readonly first: Difference | null } {
    const counts = {
      decisions: this.#decisions,
      compared: this.#compared,
      mismatches: this.#mismatches,
      notCompared: this.#notCompared,
    }
    const first = this.#first
    this.#decisions = 0
    this.#compared = new Uint32Array(FEATURE_COUNT)
    this.#mismatches = new Uint32Array(FEATURE_COUNT)
    this.#notCompared = new Uint32Array(NOT_COMPARED.length)
    this.#first = null
    return { counts, first }
  }
}

function bump(counts: Uint32Array, index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}

function differenceOf(
  { block, recorded, values, verdicts }: ReplayedRow,
  features: number,
): Difference {
  const index = verdicts.indexOf(VERDICT.differs)
  const { offset, revision, transactionId } = recorded.decision
  return {
    partition: block.partition,
    offset,
    revision,
    transactionId,
    feature: FEATURE_NAMES[index] ?? '',
    recorded: recorded.values[index] ?? NaN,
    recomputed: values[index] ?? NaN,
    features,
  }
}
