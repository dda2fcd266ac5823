// One lane: all work of one partition, in order, one micro-batch after the other.
//
// At every start, be it a new assignment or a failure, a lane raises its epoch, initialises its producer, reads
// back what is committed, checks that its state holds just that, and only then asks for messages. So it does
// not matter how the last owner ended.

import { isSluiceError } from '../core/errors.ts'
import { LaneFold, type LanePosition } from '../core/features/engine/lane-fold.ts'
import { AlignedBatch, mayGoOn } from '../core/stream/alignment.ts'
import type { LaneProgress } from '../core/stream/lane-progress.ts'
import type { LaneTransactions } from '../platform/kafka/lane-transactions.ts'
import type { ScorerTelemetry } from '../platform/metrics/scorer-telemetry.ts'
import type { BatchTracer } from '../platform/tracing/batch-tracer.ts'
import type { LaneStanding } from './intake/lag-observer.ts'
import { foldOptionsOf, LaneInbox, type InboxOptions, type Taken } from './intake/lane-inbox.ts'
import { processBatch, type BatchPlace } from './batch/lane-batch.ts'
import { cutTakenAfter, inParts } from './batch/cut-batch.ts'
import { LaneBlocks } from './publish/lane-blocks.ts'
import { corruptGenerationOf, isRefused, lost, type RefusalDeps } from './lane-errors.ts'
import type { LaneStart } from './recovery/lane-start.ts'
import type { LaneState } from './recovery/lane-state.ts'
import { LaneTurns, type TurnDeps } from './lane-turns.ts'
import { newestTimesOf } from './intake/newest-times.ts'
import { tracedBatch } from './batch/traced-batch.ts'

const RESTART_FIRST_MS = 50
const RESTART_MS_MAX = 2_000
/** How often a lane that waits for others in an aligned replay looks again. */
const ALIGNMENT_POLL_MS = 5

/** What a lane needs; the outside world is behind functions, so that tests can stand in for it. */
export interface LaneDeps extends RefusalDeps, TurnDeps {
  readonly telemetry: ScorerTelemetry
  /** Null when nothing is traced. */
  readonly tracer: BatchTracer | null
  /** How far all lanes are, as an aligned replay waits for. */
  readonly readProgress: () => Promise<readonly (LaneProgress | null)[]>
  readonly inbox: InboxOptions
  /** Leases that a lane remembers; beyond them blocks become flags. */
  readonly leasesMax: number
  /** Least time between two micro-batches that are not full. */
  readonly batchIntervalMs: number
  /** Raises the epoch, opens the producer, reads back, opens the state. Null: another owner has taken over. */
  readonly start: (
    epochs: { held: number | null },
    corruptGeneration: number | null,
  ) => Promise<LaneStart | null>
  /** The state that the lane begins with; `onNews` wakes the lane. */
  readonly openState: (
    start: LaneStart,
    epochs: { held: number | null },
    onNews: () => void,
  ) => LaneState
  /** Rejects when `offset` is no longer in the log: kafkajs would go on from the earliest in silence. */
  readonly checkLogHolds: (topic: 'transactions' | 'labels', offset: number) => Promise<void>
  /** Asks kafkajs for messages from these offsets on, and to go on fetching. */
  readonly seek: (nextOffset: number, labelNextOffset: number) => void
  readonly pause: (topic: 'transactions' | 'labels') => void
  readonly resume: (topic: 'transactions' | 'labels') => void
}

export class Lane {
  readonly #deps: LaneDeps
  readonly #partition: number
  readonly #paused = new Set<'transactions' | 'labels'>()
  #inbox: LaneInbox | null = null
  #gaps: { readonly topic: 'transactions' | 'labels'; readonly expected: number }[] = []
  #state: LaneState | null = null
  /** A generation of the state that holds a damaged value; null for none. */
  #corruptGeneration: number | null = null
  #progress: readonly (LaneProgress | null)[] = []
  readonly #epochs: { held: number | null } = { held: null }
  /** Everything below is decided and committed, as far as this lane knows. */
  #decidedTo: number | null = null
  /** Of the batch in hand; kept after a failure, since it is then still to be decided. */
  #oldestInHandMs: number | null = null
  #isStopping = false
  #wake: (() => void) | null = null
  readonly #done: Promise<void>

  constructor(deps: LaneDeps) {
    this.#deps = deps
    this.#partition = deps.inbox.partition
    this.#done = this.#run()
  }

  /** Where the lane stands, for who watches its lag; true also while it starts over. */
  get standing(): LaneStanding {
    const oldestTimestampMs = this.#oldestInHandMs ?? this.#inbox?.oldestTimestampMs ?? null
    return {
      nextOffset: this.#decidedTo,
      oldestTimestampMs,
      isIdle: this.#inbox !== null && oldestTimestampMs === null,
    }
  }

  /** How long the lane has been deciding without its state, ms; null while it has it, or does not work. */
  get degradedMs(): number | null {
    return this.#state?.degradedMs ?? null
  }

  get isDegraded(): boolean {
    return this.degradedMs !== null
  }

  /** Hands over messages; never waits. Too many pause their topic's partition. */
  push(topic: 'transactions' | 'labels', messages: Parameters<LaneInbox['push']>[1]): void {
    const inbox = this.#inbox
    if (inbox === null) return
    const expected = inbox.push(topic, messages)
    if (expected !== null) this.#gaps.push({ topic, expected })
    if (inbox.isFull(topic) && !this.#paused.has(topic)) {
      this.#paused.add(topic)
      this.#deps.pause(topic)
    }
    this.#wake?.()
  }

  /** There may be something to do. */
  wake(): void {
    this.#wake?.()
  }

  /** Finishes the micro-batch in hand, or its part, and ends. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#wake?.()
    await this.#done
  }

  async #run(): Promise<void> {
    const { log, telemetry } = this.#deps
    let waitMs = RESTART_FIRST_MS
    while (!this.#isStopping) {
      telemetry.laneWorking(this.#partition, false)
      let transactions: LaneTransactions | null = null
      try {
        const start = await this.#deps.start(this.#epochs, this.#corruptGeneration)
        if (start === null) {
          telemetry.laneStopped('fenced')
          log.warn({ partition: this.#partition }, 'Another owner has taken over the lane.')
          return
        }
        transactions = start.transactions
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
        telemetry.laneWorking(this.#partition, false)
        this.#oldestInHandMs ??= this.#inbox?.oldestTimestampMs ?? null
        this.#inbox = null
        await this.#state?.close()
        this.#state = null
        await transactions?.close().catch(() => undefined)
      }
    }
  }

  /** Counts and logs the failure; false when starting over cannot help. */
  #mayRestart(error: unknown): boolean {
    const { log, telemetry } = this.#deps
    const partition = this.#partition
    if (isSluiceError(error, 'SLUICE_LANE_OFFSET_OUT_OF_RANGE')) {
      telemetry.laneStopped('offset_out_of_range')
      log.error({ partition, error }, 'The lane has stopped: its messages are gone from the log.')
      return false
    }
    if (isRefused(error, partition, this.#deps)) return false
    this.#corruptGeneration = corruptGenerationOf(error) ?? this.#corruptGeneration
    if (isSluiceError(error, 'SLUICE_LANE_FENCED')) telemetry.writeFenced()
    if (isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN')) telemetry.transactionFailed()
    if (this.#isStopping) return false
    telemetry.laneRestarted()
    log.warn({ partition, error }, 'The lane starts over from what is committed.')
    return true
  }

  async #work(start: LaneStart, state: LaneState, onProgress: () => void): Promise<void> {
    const { inbox: options, clock, alignment } = this.#deps
    const inbox = new LaneInbox(options, start.nextOffset, start.labelNextOffset)
    const fold = new LaneFold(foldOptionsOf(options), start.position)
    const { leases, kept, position, transactions } = start
    const { newestEventMs } = position
    const { leasesMax } = this.#deps
    const blocks = new LaneBlocks({ leases, kept, newestEventMs, leasesMax })
    const turns = new LaneTurns(this.#deps, blocks, transactions)
    let chainHash = start.chainHash
    let lastStartMs = -Infinity
    // Known before the first batch: an empty list would let an aligned lane go on unchecked.
    if (alignment === 'aligned') this.#progress = await this.#deps.readProgress()
    this.#open(inbox, start)
    while (!this.#isStopping) {
      await this.#pace(inbox, lastStartMs)
      await turns.take(inbox.isEmpty, { ...inbox.place, position: fold.position, chainHash })
      // Asked right before taking: a gap that came while waiting must be looked at too.
      while (this.#gaps.length > 0) await this.#checkGaps()
      await state.rejoin()
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
      const place = { transactions, state, fold, blocks }
      const decodeMs = clock.monotonicMs() - startMs
      chainHash = await this.#decide(taken, place, chainHash, decodeMs, onProgress)
    }
  }

  /**
   * Decides what was taken: at once, or in as many parts as its late transactions need; unless the lane is to stop, all of
   * it, since what was taken counts as decided from then on. Returns the hash of the last block.
   */
  async #decide(
    taken: Taken,
    place: Pick<BatchPlace, 'transactions' | 'state' | 'fold' | 'blocks'>,
    hashBefore: string,
    takenInMs: number,
    onProgress: () => void,
  ): Promise<string> {
    let [chainHash, decodeMs] = [hashBefore, takenInMs]
    await inParts(taken, cutTakenAfter, async (part) => {
      if (this.#isStopping) return null
      this.#oldestInHandMs = part.oldestTimestampMs
      const onRead = (progress: readonly (LaneProgress | null)[]): void => {
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

  /** Lets messages in. Nothing may wait in here: what kafkajs delivers before is of another place in the log. */
  #open(inbox: LaneInbox, start: LaneStart): void {
    this.#gaps = []
    this.#inbox = inbox
    this.#decidedTo = start.nextOffset
    this.#oldestInHandMs = null
    this.#deps.telemetry.laneWorking(this.#partition, true)
    this.#deps.seek(start.nextOffset, start.labelNextOffset)
    // Both, whatever this lane has paused: kafkajs keeps a pause through a rebalance, so an earlier lane's may stand.
    for (const topic of ['transactions', 'labels'] as const) this.#deps.resume(topic)
    this.#paused.clear()
  }

  /** Another lane may have been built anew since the gate was asked: then it no longer holds what was waited for. */
  #checkAligned(taken: Taken, labelWatermarkMs: number): void {
    if (this.#deps.alignment === 'live') return
    const { eventMs, labelMs } = newestTimesOf(taken)
    if (eventMs >= 0 && !this.#gate()(eventMs, Math.max(labelMs, labelWatermarkMs))) {
      throw lost(this.#partition, 'behind')
    }
  }

  async #checkGaps(): Promise<void> {
    for (let gap = this.#gaps.shift(); gap !== undefined; gap = this.#gaps.shift()) {
      await this.#deps.checkLogHolds(gap.topic, gap.expected)
    }
  }

  #gate(): (eventTimeMs: number, labelWatermarkMs: number) => boolean {
    if (this.#deps.alignment === 'live') return () => true
    return (eventTimeMs, labelWatermarkMs) =>
      mayGoOn(eventTimeMs, this.#partition, labelWatermarkMs, this.#progress)
  }

  #batchFrom({ newestEventMs, watermarkMs }: LanePosition): AlignedBatch {
    const isLive = this.#deps.alignment === 'live'
    return new AlignedBatch(isLive ? Infinity : Math.max(newestEventMs, watermarkMs))
  }

  /** Waits for messages; with messages in hand that an aligned replay holds back, for the other lanes. */
  async #waitForMore(inbox: LaneInbox, state: LaneState, turns: LaneTurns): Promise<void> {
    if (inbox.isEmpty) {
      if (!state.hasNews) await this.#sleep(turns.pollMs)
      return
    }
    await this.#sleep(ALIGNMENT_POLL_MS)
    this.#progress = await this.#deps.readProgress()
    // When every lane waits for the others, none reads a batch that would show that the state is gone.
    const own = this.#progress[this.#partition] ?? null
    if (own === null || own.nextOffset < (this.#decidedTo ?? 0)) await state.confirm()
  }

  /** Each commit costs the same however little it holds; a little patience leaves the machine time to be prompt. */
  async #pace(inbox: LaneInbox, lastStartMs: number): Promise<void> {
    const { batchIntervalMs, clock } = this.#deps
    for (;;) {
      const leftMs = lastStartMs + batchIntervalMs - clock.monotonicMs()
      if (leftMs <= 0 || this.#isStopping || inbox.hasFullBatch) return
      await this.#sleep(leftMs)
    }
  }

  #resumeWhenEmptied(inbox: LaneInbox): void {
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
