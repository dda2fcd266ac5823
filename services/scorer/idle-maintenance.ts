// Maintenance of a partition between its batches: it releases cards that an operator has released, and ends leases that
// are over although no message arrives. Each is a Kafka transaction of its own, with alerts, leases and unchanged
// offsets. Nothing is decided, so there is no decision batch.

import type { Clock } from '../core/clock.ts'
import type { PartitionPosition } from '../core/features/engine/partition-fold.ts'
import type { Frontier } from '../core/stream/partition-progress.ts'
import type { LogWriter } from '../platform/kafka/log-client.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import { encodeBlocks, offsetsOf } from './publish/blocks-output.ts'
import type { HeldOutput } from './batch/partition-batch.ts'
import type { PartitionBlocks } from './publish/partition-blocks.ts'
import type { OperatorOverrides } from './deployments/operator-overrides.ts'

/** Interval at which an idle partition checks the clock. */
const CLOCK_POLL_MS = 1_000
/** A longer gap means that the process was paused, not idle: drain the queue before ending leases. */
const STANDSTILL_MS = 5_000
/** Beyond this difference between two looks the wall clock was set, or the machine was suspended. */
const CLOCK_STEP_MS = 2_000

export interface TurnDeps {
  readonly clock: Clock
  readonly telemetry: Pick<ScorerTelemetry, 'blocksCommitted'>
  readonly alignment: 'live' | 'aligned'
  readonly takeOutput: () => HeldOutput
  readonly words: OperatorOverrides
  /** Time after a lease's end for which an idle partition waits for messages that would extend it. */
  readonly leaseGraceMs: number
}

/** The partition's position in the log. */
export interface TurnPlace extends Frontier {
  readonly position: PartitionPosition
  readonly chainHash: string
}

export class IdleMaintenance {
  readonly #deps: TurnDeps
  readonly #blocks: PartitionBlocks
  readonly #writer: LogWriter
  /** Version of the overrides that were last applied; -1 at a start, so that all are applied again. */
  #versionSeen = -1
  #idleSinceMs: number | null = null
  #lookedMs = Infinity
  /** Lead of the wall clock over the monotonic clock at the last check; null before the first one. */
  #aheadMs: number | null = null
  /** The same without steps of the wall clock; it follows small corrections. */
  #steadyAheadMs = 0

  constructor(deps: TurnDeps, blocks: PartitionBlocks, writer: LogWriter) {
    this.#deps = deps
    this.#blocks = blocks
    this.#writer = writer
  }

  /** Longest sleep of an idle partition; null when only messages and operators can end a lease. */
  get pollMs(): number | null {
    const { alignment, leaseGraceMs } = this.#deps
    if (alignment === 'aligned' || this.#blocks.liveCount === 0) return null
    return Math.min(CLOCK_POLL_MS, leaseGraceMs)
  }

  /** Publishes pending alerts and leases, if there are any. */
  async take(isIdle: boolean, place: TurnPlace): Promise<void> {
    this.#look(isIdle)
    if (!this.#blocks.hasOutput) return
    const held = this.#deps.takeOutput()
    try {
      const { codecs, topics, decide } = held.options
      const { published, leases, kept, counts } = this.#blocks.take(decide)
      const { partition } = decide
      const encoded = encodeBlocks(published, leases, codecs, { partition, topics }, () => ({}))
      await this.#writer.commit(
        [...encoded.alerts, ...encoded.leases],
        offsetsOf(partition, topics, place, place, kept),
        true,
      )
      this.#deps.telemetry.blocksCommitted(partition, counts)
    } finally {
      held.release()
    }
  }

  #look(isIdle: boolean): void {
    const { clock, words, alignment, leaseGraceMs } = this.#deps
    if (words.version !== this.#versionSeen) {
      this.#versionSeen = words.version
      for (const { card, alertId } of [...this.#blocks.leased]) {
        if (!words.isReleased(card, alertId)) continue
        this.#blocks.releaseByPerson(card, alertId, clock.nowMs())
      }
    }
    if (alignment === 'aligned') return
    const nowMs = clock.monotonicMs()
    const stoodStill = nowMs - this.#lookedMs > STANDSTILL_MS
    this.#lookedMs = nowMs
    const aheadMs = clock.nowMs() - nowMs
    if (this.#hasStepped(aheadMs) || stoodStill) this.#idleSinceMs = null
    this.#idleSinceMs = isIdle ? (this.#idleSinceMs ?? nowMs) : null
    const idleMs = this.#idleSinceMs === null ? 0 : nowMs - this.#idleSinceMs
    if (idleMs < leaseGraceMs) return
    // A release is published for good, so a wall clock that was set forward must not cause one.
    this.#blocks.endByClock(nowMs + Math.min(aheadMs, this.#steadyAheadMs), leaseGraceMs)
  }

  /** Compares the clocks; true when the wall clock was set since the last look. */
  #hasStepped(aheadMs: number): boolean {
    const beforeMs = this.#aheadMs
    this.#aheadMs = aheadMs
    const isSteady = Math.abs(aheadMs - this.#steadyAheadMs) <= CLOCK_STEP_MS
    if (beforeMs === null || isSteady) this.#steadyAheadMs = aheadMs
    return beforeMs !== null && Math.abs(aheadMs - beforeMs) > CLOCK_STEP_MS
  }
}
