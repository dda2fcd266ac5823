// The demo's own subscriber: it receives alerts like any other subscriber, shows them, and measures their latency.

import { type AlertsTelemetry, tailAlerts } from '../../services/alerts/index.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { systemClock } from '../../services/platform/clock.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import type { Screen } from './screen.ts'

const RECENT_ALERTS = 1_000

export interface Subscriber {
  readonly counts: {
    readonly flag: number
    readonly block: number
    readonly release: number
    /** Includes revisions of flags and blocks. */
    readonly received: number
    readonly notRead: number
  }
  readonly all: LatencyCounts
  readonly recent: RecentLatencies
  /** Rejects when the subscriber cannot continue; never resolves. */
  readonly failed: Promise<never>
  close(): Promise<void>
}

/** Subscribes; resolves once every later alert will be seen. */
export async function openSubscriber(
  options: KafkaConnection & {
    readonly topicPrefix: string
    readonly codecs: Codecs
    readonly telemetry: AlertsTelemetry
    readonly onAlert: (alert: Alert) => void
  },
  screen: Screen,
): Promise<Subscriber> {
  const counts = { flag: 0, block: 0, release: 0, received: 0, notRead: 0 }
  const all = new LatencyCounts()
  const recent = new RecentLatencies(RECENT_ALERTS)
  const stop = new AbortController()
  let tail: Promise<void> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    tail = tailAlerts(
      {
        ...options,
        startAt: 'beginning',
        clock: systemClock,
        onReady: resolve,
        onNotRead: ({ partition, offset, reason }) => {
          counts.notRead += 1
          screen.say(`alert ${partition}/${offset} cannot be read: ${reason}`)
        },
      },
      ({ alert, receivedAtMs }) => {
        counts.received += 1
        options.onAlert(alert)
        if (alert.action === 'release') counts.release += 1
        // A revision comes when something changes, so its time since the payment is not a latency.
        if (alert.cause === null) {
          const latencyMs = receivedAtMs - alert.source.timestampMs
          all.add(latencyMs)
          recent.add(latencyMs)
          if (alert.action === 'block') counts.block += 1
          else counts.flag += 1
        }
        screen.alert(alert)
      },
      stop.signal,
    )
    tail.catch(reject)
  })
  const failed = new Promise<never>((_, reject) => {
    tail.catch(reject)
  })
  failed.catch(() => undefined)
  return {
    counts,
    all,
    recent,
    failed,
    close: async () => {
      stop.abort()
      // `failed` has reported its failure.
      await tail.catch(() => undefined)
    },
  }
}

// Percentiles of latencies in whole milliseconds, exact up to ten minutes, in constant memory.

const LATENCY_MS_MAX = 600_000

/** Counts latencies; anything above ten minutes counts as ten minutes. */
export class LatencyCounts {
  readonly #counts = new Uint32Array(LATENCY_MS_MAX + 1)
  #total = 0

  get total(): number {
    return this.#total
  }

  /** Clocks of two machines may make a latency negative; it counts as 0. */
  add(latencyMs: number): void {
    const bucket = Math.min(LATENCY_MS_MAX, Math.max(0, Math.round(latencyMs)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total += 1
  }

  /** The smallest latency that at least this share (0 to 1) of all does not exceed; null without any. */
  percentileMs(share: number): number | null {
    if (this.#total === 0) return null
    const rank = Math.max(1, Math.ceil(share * this.#total))
    let seen = 0
    for (let latencyMs = 0; latencyMs < LATENCY_MS_MAX; latencyMs += 1) {
      seen += this.#counts[latencyMs] ?? 0
      if (seen >= rank) return latencyMs
    }
    return LATENCY_MS_MAX
  }
}

/** Only the newest latencies, for a figure that shows the current state. */
export class RecentLatencies {
  readonly #size: number
  readonly #values: number[] = []
  #position = 0

  constructor(size: number) {
    this.#size = size
  }

  add(latencyMs: number): void {
    this.#values[this.#position] = latencyMs
    this.#position = (this.#position + 1) % this.#size
  }

  /** As in LatencyCounts, of the newest only. */
  percentileMs(share: number): number | null {
    const sorted = this.#values.toSorted((a, b) => a - b)
    return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? null
  }
}
