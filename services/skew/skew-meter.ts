// The skew meter: recomputes the features of a sample of decisions from the log and counts values that differ from the
// recorded ones. As a process it follows the topics; `measureSkew` measures once.

import assert from 'node:assert/strict'
import { setInterval } from 'node:timers'
import type { Clock } from '../core/clock.ts'
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
import { RatesByDigest } from '../platform/rate-store.ts'
import { DEFAULT_RATES } from '../core/rates/default-rates.ts'

const REPORT_MS = 5_000

/** Limit on logged differences; the metrics count all of them. */
const LOGGED_MAX = 1_000

export interface SkewOptions {
  readonly config: SkewConfig
  /** The rate tables that decision batches name; those that ship unless given. */
  readonly rates?: RatesByDigest
  /** Start at the first retained message, or at records of this time, ms. */
  readonly from: 'beginning' | number
  readonly clock: Clock
  readonly log: Logger
  /** Called once the metrics server listens and the start offsets are fixed. */
  readonly onReady?: (metricsPort: number) => void
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID, or any error of the schema registry. */
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
  }, REPORT_MS)
  try {
    await feedReplay(
      {
        brokers: config.brokers,
        security: config.security,
        name: 'sluice-skew',
        topicPrefix,
        codecs: createCodecs(content),
        rates: options.rates ?? new RatesByDigest(DEFAULT_RATES),
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

  /** Adds the counts to the metrics, and reports progress. */
  tell(): void {
    const { counts, first } = this.counts.take()
    this.#telemetry.compared(counts)
    const { log, clock } = this.#options
    if (first !== null && this.#logged < LOGGED_MAX) {
      this.#logged += 1
      log.warn(
        { ...first },
        'The features of a decision differ from those recomputed from the log.',
      )
    }
    if (this.sample.share < this.#share) {
      this.#share = this.sample.share
      log.warn({ sample: this.#share }, 'The sample exceeded its memory limit and was halved.')
    }
    if (this.#status === null) return
    const { replay, isCaughtUp, unreadableBatches } = this.#status
    this.#telemetry.batchesUnreadable(unreadableBatches - this.#unreadable)
    this.#unreadable = unreadableBatches
    const sinceMs = isCaughtUp ? replay.oldestWaitingMs : replay.newestReplayedMs
    this.#telemetry.stood({
      behindMs: sinceMs === null ? 0 : Math.max(0, clock.nowMs() - sinceMs),
      waitingBatches: replay.waitingBatches,
      sample: this.sample.share,
      heldValues: replay.size,
    })
  }
}

// One bounded measurement without a running meter: reads the topics from their beginning to their current end,
// recomputes as large a sample as fits in memory, and counts differences among recent decisions.

export interface MeasureOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
  readonly rates: RatesByDigest
  /** Must equal the scorer's setting. */
  readonly eventAheadMsMax: number
  /** Decisions made earlier, by the scorer's clock, are not counted. */
  readonly decidedFromMs: number
  /** Limit on messages of all topics; reaching it ends the measurement early. */
  readonly messagesMax: number
  readonly onProgress: (messages: number) => void
}

export interface MeasuredSkew {
  readonly decisions: number
  /** Feature values. */
  readonly compared: number
  readonly mismatches: number
  readonly messages: number
  /** Share of cards and entities that fitted in memory. */
  readonly sample: number
  /** False when `messagesMax` was reached: the counts then cover only the oldest decisions. */
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

/** The first difference since the last report, for the log. */
export interface Difference {
  readonly partition: number
  readonly offset: number
  readonly revision: number
  readonly transactionId: string
  readonly feature: string
  readonly recorded: number
  readonly recomputed: number
  /** Number of features of this decision that differ. */
  readonly features: number
}

/** Accumulates the verdicts of replayed rows between reports, since updating a metric per value is too slow. */
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

  /** Returns and resets the counts. */
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
  const count = counts[index]
  assert(count !== undefined)
  counts[index] = count + 1
}

function differenceOf(
  { block, recorded, values, verdicts }: ReplayedRow,
  features: number,
): Difference {
  const index = verdicts.indexOf(VERDICT.differs)
  const { offset, revision, transactionId } = recorded.decision
  const feature = FEATURE_NAMES[index]
  const [recordedValue, recomputed] = [recorded.values[index], values[index]]
  assert(feature !== undefined && recordedValue !== undefined && recomputed !== undefined)
  return {
    partition: block.partition,
    offset,
    revision,
    transactionId,
    feature,
    recorded: recordedValue,
    recomputed,
    features,
  }
}
