// Processes one partition in order, one micro-batch after the other. At every start, whether after an assignment or a
// failure, it raises its epoch, initialises its producer, reads the committed offsets, checks that its state matches
// them, and only then asks for messages. So it does not matter how the last owner ended.

import { isSluiceError, type SluiceError } from '../core/errors.ts'
import { PartitionFold, type PartitionPosition } from '../core/features/engine/partition-fold.ts'
import { AlignedBatch, mayGoOn } from '../core/stream/alignment.ts'
import type { PartitionProgress } from '../core/stream/partition-progress.ts'
import type { LogRecord, LogWriter } from '../platform/kafka/log-client.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import type { BatchTracer } from '../platform/tracing/open-tracing.ts'
import type { PartitionStatus } from './intake/lag-observer.ts'
import { foldOptionsOf, RecordQueue, type InboxOptions, type Taken } from './intake/record-queue.ts'
import { processBatch, type BatchPlace } from './batch/partition-batch.ts'
import { frontierTakenAfter, inParts } from './batch/split-batch.ts'
import { PartitionBlocks } from './publish/partition-blocks.ts'
import {
  corruptGenerationOf,
  isRefused,
  lost,
  type RefusalDeps,
  stopReasonOf,
} from './partition-errors.ts'
import type { PartitionStart } from './recovery/partition-start.ts'
import type { PartitionState } from './recovery/partition-state.ts'
import { IdleMaintenance, type TurnDeps } from './idle-maintenance.ts'
import { newestTimesOf } from './intake/newest-times.ts'
import { tracedBatch } from './batch/traced-batch.ts'

const RESTART_FIRST_MS = 50
const RESTART_MS_MAX = 2_000
/** Interval at which a partition in an aligned replay checks the progress of the others. */
const ALIGNMENT_POLL_MS = 5

/** Dependencies of a partition. The outside world is behind functions, so that tests can replace it. */
export interface PartitionDeps extends RefusalDeps, TurnDeps {
  readonly telemetry: ScorerTelemetry
  /** Null when nothing is traced. */
  readonly tracer: BatchTracer | null
  /** Progress of all partitions, which an aligned replay waits for. */
  readonly readProgress: () => Promise<readonly (PartitionProgress | null)[]>
  readonly inbox: InboxOptions
  /** Most leases that a partition holds; beyond that blocks become flags. */
  readonly leasesMax: number
  /** Least time between two micro-batches that are not full. */
  readonly batchIntervalMs: number
  /**
   * Raises the epoch, opens the producer, reads the committed offsets, opens the state. Null: another owner has taken
   * over.
   */
  readonly start: (
    epochs: { held: number | null },
    corruptGeneration: number | null,
  ) => Promise<PartitionStart | null>
  /** The state with which the partition begins; `onNews` wakes the partition. */
  readonly openState: (
    start: PartitionStart,
    epochs: { held: number | null },
    onNews: () => void,
  ) => PartitionState
  /** Asks for messages from these offsets on. */
  readonly seek: (nextOffset: number, labelNextOffset: number) => void
  readonly pause: (topic: 'transactions' | 'labels') => void
  readonly resume: (topic: 'transactions' | 'labels') => void
}

export class PartitionProcessor {
  readonly #deps: PartitionDeps
  readonly #partition: number
  readonly #paused = new Set<'transactions' | 'labels'>()
  #inbox: RecordQueue | null = null
  /** The error that prevents reading the log; null when there is none. */
  #fault: SluiceError | null = null
  #state: PartitionState | null = null
  /** A generation of the state that holds a damaged value; null for none. */
  #corruptGeneration: number | null = null
  #progress: readonly (PartitionProgress | null)[] = []
  readonly #epochs: { held: number | null } = { held: null }
  /** Everything below this offset is decided and committed, as far as this partition knows. */
  #decidedTo: number | null = null
  /** Oldest time stamp of the batch in hand. Kept after a failure, since the batch is still to be decided. */
  #oldestInHandMs: number | null = null
  #isStopping = false
  #wake: (() => void) | null = null
  readonly #done: Promise<void>

  constructor(deps: PartitionDeps) {
    this.#deps = deps
    this.#partition = deps.inbox.partition
    this.#done = this.#run()
  }

  /** The status for the lag observer; valid also while the partition starts over. */
  get standing(): PartitionStatus {
    const oldestTimestampMs = this.#oldestInHandMs ?? this.#inbox?.oldestTimestampMs ?? null
    return {
      nextOffset: this.#decidedTo,
      oldestTimestampMs,
      isIdle: this.#inbox !== null && oldestTimestampMs === null,
    }
  }

  /** Time for which the partition has been deciding without its state, ms; null while it has it or does not run. */
  get degradedMs(): number | null {
    return this.#state?.degradedMs ?? null
  }

  get isDegraded(): boolean {
    return this.degradedMs !== null
  }

  /** Queues messages; never waits. When the queue is full, the topic's partition is paused. */
  push(topic: 'transactions' | 'labels', records: readonly LogRecord[]): void {
    const inbox = this.#inbox
    if (inbox === null) return
    inbox.push(topic, records)
    if (inbox.isFull(topic) && !this.#paused.has(topic)) {
      this.#paused.add(topic)
      this.#deps.pause(topic)
    }
    this.#wake?.()
  }

  /** The log cannot be read: stops the partition with this error before it takes another batch. */
  fail(fault: SluiceError): void {
    this.#fault = fault
    this.#wake?.()
  }

  /** Wakes the partition, because there may be work. */
  wake(): void {
    this.#wake?.()
  }

  /** Finishes the current micro-batch, or its current part, and stops. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#wake?.()
    await this.#done
  }

  async #run(): Promise<void> {
    const { log, telemetry } = this.#deps
    let waitMs = RESTART_FIRST_MS
    while (!this.#isStopping) {
      telemetry.partitionWorking(this.#partition, false)
      let writer: LogWriter | null = null
      try {
        const start = await this.#deps.start(this.#epochs, this.#corruptGeneration)
        if (start === null) {
          telemetry.partitionStopped('fenced')
          log.warn({ partition: this.#partition }, 'Another owner has taken over the partition.')
          return
        }
        writer = start.writer
        this.#corruptGeneration = null
        this.#state = this.#deps.openState(start, this.#epochs, () => this.#wake?.())
        await this.#work(start, this.#state, () => {
          waitMs = RESTART_FIRST_MS
        })
      } catch (error) {
        if (!this.#mayRestart(error)) return
        await this.#sleep(waitMs)
        waitMs = Math.min(waitMs * 2, RESTART_MS_MAX)
      } finally {
        telemetry.partitionWorking(this.#partition, false)
        this.#oldestInHandMs ??= this.#inbox?.oldestTimestampMs ?? null
        this.#inbox = null
        await this.#state?.close()
        this.#state = null
        await writer?.close().catch(() => undefined)
      }
    }
  }

  /** Counts and logs the failure. False when starting over cannot help. */
  #mayRestart(error: unknown): boolean {
    const { log, telemetry } = this.#deps
    const partition = this.#partition
    const reason = stopReasonOf(error)
    if (reason !== null) {
      telemetry.partitionStopped(reason)
      log.error({ partition, reason, error }, 'The partition has stopped until a person has acted.')
      return false
    }
    if (isRefused(error, partition, this.#deps)) return false
    this.#corruptGeneration = corruptGenerationOf(error) ?? this.#corruptGeneration
    if (isSluiceError(error, 'SLUICE_PARTITION_FENCED')) telemetry.writeFenced()
    if (isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN')) telemetry.transactionFailed()
    if (this.#isStopping) return false
    telemetry.partitionRestarted()
    log.warn({ partition, error }, 'The partition starts over from what is committed.')
    return true
  }

  async #work(start: PartitionStart, state: PartitionState, onProgress: () => void): Promise<void> {
    const { inbox: options, clock, alignment } = this.#deps
    const inbox = new RecordQueue(options, start.nextOffset, start.labelNextOffset)
    const fold = new PartitionFold(foldOptionsOf(options), start.position)
    const { leases, kept, position, writer } = start
    const { newestEventMs } = position
    const { leasesMax } = this.#deps
    const blocks = new PartitionBlocks({ leases, kept, newestEventMs, leasesMax })
    const turns = new IdleMaintenance(this.#deps, blocks, writer)
    let chainHash = start.chainHash
    let lastStartMs = -Infinity
    // Read before the first batch: with an empty list an aligned partition would continue unchecked.
    if (alignment === 'aligned') this.#progress = await this.#deps.readProgress()
    this.#open(inbox, start)
    while (!this.#isStopping) {
      await this.#pace(inbox, lastStartMs)
      await turns.take(inbox.isEmpty, { ...inbox.place, position: fold.position, chainHash })
      await state.rejoin()
      if (this.#fault !== null) throw this.#fault
      const startMs = clock.monotonicMs()
      const { labelWatermarkMs } = fold.position
      const batch = this.#batchFrom(fold.position)
      const taken = inbox.take(clock.nowMs(), labelWatermarkMs, this.#gate(), batch)
      if (taken === null) {
        await this.#waitForMore(inbox, state, turns)
        continue
      }
      lastStartMs = startMs
      this.#resumeWhenEmptied(inbox)
      const place = { writer, state, fold, blocks }
      const decodeMs = clock.monotonicMs() - startMs
      chainHash = await this.#decide(taken, place, chainHash, decodeMs, onProgress)
    }
  }

  /**
   * Decides a batch at once, or in as many parts as its late transactions need. Decides all of it unless the partition
   * is stopping, because everything taken counts as decided from then on. Returns the hash of the last decision batch.
   */
  async #decide(
    taken: Taken,
    place: Pick<BatchPlace, 'writer' | 'state' | 'fold' | 'blocks'>,
    hashBefore: string,
    takenInMs: number,
    onProgress: () => void,
  ): Promise<string> {
    let [chainHash, decodeMs] = [hashBefore, takenInMs]
    await inParts(taken, frontierTakenAfter, async (part) => {
      if (this.#isStopping) return null
      this.#oldestInHandMs = part.oldestTimestampMs
      const onRead = (progress: readonly (PartitionProgress | null)[]): void => {
        this.#progress = progress
        this.#checkAligned(part, place.fold.position.labelWatermarkMs)
      }
      const partPlace = { ...place, chainHash, decodeMs, onRead }
      const processed = await tracedBatch(this.#deps, this.#partition, part, decodeMs, (span) =>
        processBatch(this.#deps, partPlace, part, span),
      )
      chainHash = processed.chainHash
      decodeMs = 0
      this.#decidedTo = processed.nextOffset
      onProgress()
      return processed.entryCount
    })
    this.#oldestInHandMs = null
    return chainHash
  }

  /**
   * Opens the intake. There must be no await in here: messages delivered before the seek are from another position in
   * the log.
   */
  #open(inbox: RecordQueue, start: PartitionStart): void {
    this.#fault = null
    this.#inbox = inbox
    this.#decidedTo = start.nextOffset
    this.#oldestInHandMs = null
    this.#deps.telemetry.partitionWorking(this.#partition, true)
    this.#deps.seek(start.nextOffset, start.labelNextOffset)
    // Both topics are resumed, whatever this start has paused: a pause of an earlier start may still hold.
    for (const topic of ['transactions', 'labels'] as const) this.#deps.resume(topic)
    this.#paused.clear()
  }

  /**
   * Another partition may have been rebuilt since the gate was checked, and may no longer hold the state that was
   * waited for.
   */
  #checkAligned(taken: Taken, labelWatermarkMs: number): void {
    if (this.#deps.alignment === 'live') return
    const { eventMs, labelMs } = newestTimesOf(taken)
    if (eventMs >= 0 && !this.#gate()(eventMs, Math.max(labelMs, labelWatermarkMs))) {
      throw lost(this.#partition, 'behind')
    }
  }

  #gate(): (eventTimeMs: number, labelWatermarkMs: number) => boolean {
    if (this.#deps.alignment === 'live') return () => true
    return (eventTimeMs, labelWatermarkMs) =>
      mayGoOn(eventTimeMs, this.#partition, labelWatermarkMs, this.#progress)
  }

  #batchFrom({ newestEventMs, watermarkMs }: PartitionPosition): AlignedBatch {
    const isLive = this.#deps.alignment === 'live'
    return new AlignedBatch(isLive ? Infinity : Math.max(newestEventMs, watermarkMs))
  }

  /** Waits for messages, or in an aligned replay for the other partitions. */
  async #waitForMore(
    inbox: RecordQueue,
    state: PartitionState,
    turns: IdleMaintenance,
  ): Promise<void> {
    if (inbox.isEmpty) {
      if (!state.hasNews) await this.#sleep(turns.pollMs)
      return
    }
    await this.#sleep(ALIGNMENT_POLL_MS)
    this.#progress = await this.#deps.readProgress()
    // When every partition waits for the others, none reads a batch that would reveal a lost state.
    const own = this.#progress[this.#partition] ?? null
    if (own === null || own.nextOffset < (this.#decidedTo ?? 0)) await state.confirm()
  }

  /** Every commit costs the same, however small its batch: a short wait leaves the machine free to answer promptly. */
  async #pace(inbox: RecordQueue, lastStartMs: number): Promise<void> {
    const { batchIntervalMs, clock } = this.#deps
    for (;;) {
      const leftMs = lastStartMs + batchIntervalMs - clock.monotonicMs()
      if (leftMs <= 0 || this.#isStopping || inbox.hasFullBatch) return
      await this.#sleep(leftMs)
    }
  }

  #resumeWhenEmptied(inbox: RecordQueue): void {
    for (const topic of this.#paused) {
      if (inbox.isFull(topic)) continue
      this.#paused.delete(topic)
      this.#deps.resume(topic)
    }
  }

  /** Sleeps until woken by messages or a stop, at most `limitMs` unless null. */
  async #sleep(limitMs: number | null): Promise<void> {
    if (this.#isStopping) return
    await new Promise<void>((resolve) => {
      const timer = limitMs === null ? null : setTimeout(resolve, limitMs)
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = null
  }
}
