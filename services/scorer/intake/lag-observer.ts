// Measures how far the partitions of this process are behind the log. It asks the broker, because a partition that
// starts over fetches nothing. When the broker does not answer, there is no value rather than an old one.

import type { Clock } from '../../core/clock.ts'
import type { LogEnds } from '../../platform/kafka/log-ends.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'

/** Most remembered ends of the log per partition; they date messages that are not yet fetched. */
const SIGHTINGS_MAX = 256

/** The status of a partition. */
export interface PartitionStatus {
  /** Everything below this offset is decided; null before the partition has read the committed offsets. */
  readonly nextOffset: number | null
  /** Time stamp of the oldest transaction in hand or queued in the partition; null when there is none. */
  readonly oldestTimestampMs: number | null
  /** The partition works, and has decided everything that it was given. */
  readonly isIdle: boolean
}

export interface LagObserverOptions {
  readonly clock: Clock
  readonly telemetry: Pick<ScorerTelemetry, 'lagObserved' | 'lagUnknown' | 'lagObservationFailed'>
  /** The partitions of this process, by partition. */
  readonly partitions: () => ReadonlyMap<number, PartitionStatus>
  /** Both reject when the broker does not answer. */
  readonly readLogEnds: () => Promise<ReadonlyMap<number, LogEnds>>
  readonly readCommitted: () => Promise<ReadonlyMap<number, number>>
}

/** The log ended at `high` when the broker was asked at `atMs` (monotonic). */
interface Sighting {
  readonly high: number
  readonly atMs: number
}

export class LagObserver {
  readonly #options: LagObserverOptions
  readonly #sightings = new Map<number, Sighting[]>()
  #isAsking = false

  constructor(options: LagObserverOptions) {
    this.#options = options
  }

  /** Asks and reports, never rejects. Must be called at intervals: an answer that takes longer counts as a failure. */
  async observe(): Promise<void> {
    if (this.#isAsking) {
      this.#fail()
      return
    }
    this.#isAsking = true
    try {
      const { readLogEnds, readCommitted, partitions } = this.#options
      const askedAtMs = this.#options.clock.monotonicMs()
      const ends = await readLogEnds()
      const isStarting = [...partitions().values()].some(({ nextOffset }) => nextOffset === null)
      const committed = isStarting ? await readCommitted() : new Map<number, number>()
      // Read after the answer, so that decisions made while waiting count as no lag.
      for (const [partition, standing] of partitions()) {
        this.#report(partition, standing, ends.get(partition), committed.get(partition), askedAtMs)
      }
    } catch {
      this.#fail()
    } finally {
      this.#isAsking = false
    }
  }

  /** Forgets all other partitions, and ends their series. */
  keepOnly(partitions: readonly number[]): void {
    for (const partition of this.#sightings.keys()) {
      if (partitions.includes(partition)) continue
      this.#sightings.delete(partition)
      this.#options.telemetry.lagUnknown(partition)
    }
  }

  #fail(): void {
    const { telemetry, partitions } = this.#options
    telemetry.lagObservationFailed()
    for (const partition of partitions().keys()) telemetry.lagUnknown(partition)
  }

  #report(
    partition: number,
    standing: PartitionStatus,
    ends: LogEnds | undefined,
    committed: number | undefined,
    askedAtMs: number,
  ): void {
    const { telemetry, clock } = this.#options
    if (ends === undefined) {
      telemetry.lagUnknown(partition)
      return
    }
    const next = Math.max(standing.nextOffset ?? committed ?? ends.low, ends.low)
    const firstSeenMs = this.#firstSeenMs(partition, next, ends.high, askedAtMs)
    const messages = Math.max(0, ends.high - next)
    const { oldestTimestampMs } = standing
    const ageMs =
      messages === 0
        ? 0
        : oldestTimestampMs === null
          ? clock.monotonicMs() - firstSeenMs
          : clock.nowMs() - oldestTimestampMs
    telemetry.lagObserved(partition, messages, Math.max(0, ageMs) / 1_000)
  }

  /** The time when the message at `next` was first known to be in the log. */
  #firstSeenMs(partition: number, next: number, high: number, askedAtMs: number): number {
    let sightings = this.#sightings.get(partition) ?? []
    sightings = sightings.filter((sighting) => sighting.high > next)
    if (high > next && (sightings.at(-1)?.high ?? 0) < high) {
      sightings.push({ high, atMs: askedAtMs })
    }
    // Every other one is enough: the one before each removed entry is only slightly older.
    if (sightings.length > SIGHTINGS_MAX) sightings = sightings.filter((_, i) => i % 2 === 0)
    this.#sightings.set(partition, sightings)
    return sightings[0]?.atMs ?? askedAtMs
  }
}
