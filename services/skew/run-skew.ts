// The skew meter as a process: follows the topics, recomputes its sample, and tells what differs, until it is stopped.

import { setInterval } from 'node:timers'
import type { Clock } from '../core/clock.ts'
import { DEFAULT_RATES } from '../core/currency.ts'
import { HashSample } from '../core/features/provenance/replay-sample.ts'
import { createCodecs } from '../core/wire/codecs.ts'
import type { Logger } from '../platform/log.ts'
import { openMetricsServer, type MetricsServer } from '../platform/metrics/metrics-server.ts'
import { createSkewTelemetry, type SkewTelemetry } from '../platform/metrics/skew-telemetry.ts'
import { openSchemaRegistry } from '../platform/registry/open-registry.ts'
import type { SkewConfig } from './config.ts'
import { feedReplay, type FeedStatus } from './replay-feed.ts'
import { SkewCounts } from './skew-counts.ts'

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
