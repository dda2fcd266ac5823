// Detects input that an open producer transaction holds back. A read-committed consumer sees nothing behind the first
// open transaction of a partition: its decisions stop, while its lag, which ends at the same offset, shows 0.

import type { Clock } from '../../core/clock.ts'
import type { FetchedRecords } from '../../platform/kafka/log-client.ts'
import type { Logger } from '../../platform/log.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'

/** Shorter transactions are normal for transactional producers, and are not logged. */
const LOGGED_AFTER_MS = 10_000
/** After this time without a fetch, because the broker is away or the partition is paused, the value is unknown. */
const NEWS_MS_MAX = 5_000

/** The last fetched ends of one partition of one topic. */
interface SeenEnds {
  readonly topic: string
  readonly partition: number
  readonly stable: number
  readonly high: number
  readonly seenAtMs: number
  /** Time since which the last stable offset has stood still behind the end; null while it does not lie behind. */
  readonly heldSinceMs: number | null
}

export interface HeldBackInputOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly telemetry: Pick<ScorerTelemetry, 'inputObserved' | 'inputUnknown'>
}

export class HeldBackInput {
  readonly #options: HeldBackInputOptions
  readonly #ends = new Map<string, SeenEnds>()
  readonly #logged = new Set<string>()

  constructor(options: HeldBackInputOptions) {
    this.#options = options
  }

  /** Records the ends of a fetch. */
  saw({ topic, partition, highWatermark: high, lastStableOffset: stable }: FetchedRecords): void {
    if (stable === null) return
    const key = `${topic}/${partition}`
    const before = this.#ends.get(key)
    const nowMs = this.#options.clock.monotonicMs()
    const stoodStill = before?.stable === stable ? before.heldSinceMs : null
    const heldSinceMs = stable < high ? (stoodStill ?? nowMs) : null
    this.#ends.set(key, { topic, partition, stable, high, seenAtMs: nowMs, heldSinceMs })
  }

  /** Reports the longest hold of each partition, over its topics. Must be called at intervals. */
  observe(): void {
    const { clock, telemetry } = this.#options
    const nowMs = clock.monotonicMs()
    const byPartition = Map.groupBy(this.#ends.values(), ({ partition }) => partition)
    for (const [partition, topics] of byPartition) {
      const known = topics.filter(({ seenAtMs }) => nowMs - seenAtMs <= NEWS_MS_MAX)
      for (const ends of known) this.#log(ends, nowMs)
      if (known.length === 0) telemetry.inputUnknown(partition)
      else telemetry.inputObserved(partition, Math.max(...known.map(heldMsAt(nowMs))) / 1_000)
    }
  }

  /** Ends the series of a partition that is no longer read. */
  forget(partition: number): void {
    for (const [key, ends] of this.#ends) {
      if (ends.partition !== partition) continue
      this.#ends.delete(key)
      this.#logged.delete(key)
    }
    this.#options.telemetry.inputUnknown(partition)
  }

  #log(ends: SeenEnds, nowMs: number): void {
    const { log } = this.#options
    const { topic, partition, stable, high } = ends
    const key = `${topic}/${partition}`
    const heldMs = heldMsAt(nowMs)(ends)
    if (heldMs >= LOGGED_AFTER_MS && !this.#logged.has(key)) {
      this.#logged.add(key)
      log.warn(
        { topic, partition, lastStableOffset: stable, highWatermark: high, heldMs },
        'An open transaction of a producer holds back the input: nothing behind it can be decided.',
      )
    } else if (heldMs < LOGGED_AFTER_MS && this.#logged.delete(key)) {
      log.info(
        { topic, partition, lastStableOffset: stable },
        'The input is not held back any more.',
      )
    }
  }
}

function heldMsAt(nowMs: number): (ends: SeenEnds) => number {
  return ({ heldSinceMs }) => (heldSinceMs === null ? 0 : nowMs - heldSinceMs)
}
