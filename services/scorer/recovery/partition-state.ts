// The state of a running partition: present, or lost and being restored. A live partition never waits for it: without
// state it decides degraded until the state is restored. An aligned replay decides from the log alone, so a loss stops
// the partition, and it starts over from a complete state.

import type { Clock } from '../../core/clock.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { PartitionFold, PartitionPosition } from '../../core/features/engine/partition-fold.ts'
import { LATENESS_MS } from '../../core/features/catalogue/time.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type {
  CommittedFrontier,
  PartitionSession,
  PartitionSnapshot,
} from '../../platform/redis/partition-store-contract.ts'
import type { DecidedOutcome } from './decided-outcomes.ts'
import { corruptGenerationOf, fenced, lossOf, lost } from '../partition-errors.ts'
import type { Taken } from '../intake/record-queue.ts'
import { PartitionRestorer, type RestorerDeps } from './partition-restorer.ts'
import type { PartitionStart } from './partition-start.ts'
import { readFor, readByLate } from '../batch/read-set.ts'

export interface PartitionStateDeps extends RestorerDeps {
  readonly clock: Clock
  readonly telemetry: ScorerTelemetry
}

export interface StateReading {
  /** Null when the batch must be decided without state. */
  readonly snapshot: PartitionSnapshot | null
  /** Number of entries of the batch that the snapshot covers: nearly always all. */
  readonly entryCount: number
}

export class PartitionState {
  readonly #deps: PartitionStateDeps
  readonly #onNews: () => void
  #session: PartitionSession | null
  #restorer: PartitionRestorer | null = null
  #degradedSinceMs: number | null = null
  #committed: CommittedFrontier

  /** `onNews` wakes the partition. */
  constructor(deps: PartitionStateDeps, start: PartitionStart, onNews: () => void) {
    this.#deps = deps
    this.#onNews = onNews
    this.#session = start.session
    const { nextOffset, labelNextOffset, position } = start
    this.#committed = { nextOffset, labelNextOffset, newestEventMs: position.newestEventMs }
    if (start.session === null) this.#restore(start.corruptGeneration)
  }

  get isDegraded(): boolean {
    return this.#session === null
  }

  /** True when `rejoin` has work to do. */
  get hasNews(): boolean {
    return this.#restorer !== null && (this.#restorer.isNear || this.#restorer.failure !== null)
  }

  /** Time for which the partition has been without its state; null while it has it. */
  get degradedMs(): number | null {
    const sinceMs = this.#degradedSinceMs
    return sinceMs === null ? null : this.#deps.clock.monotonicMs() - sinceMs
  }

  /** Called between two batches: takes the state back once it is nearly complete. */
  async rejoin(): Promise<void> {
    const restorer = this.#restorer
    if (restorer === null) return
    if (restorer.failure !== null) throw restorer.failure
    if (!restorer.isNear) return
    const session = await restorer.finish()
    if (session === null) return
    this.#session = session
    this.#restorer = null
    this.#degradedSinceMs = null
  }

  /** Reads the state that the batch needs. */
  async read(taken: Taken): Promise<StateReading> {
    const without = { snapshot: null, entryCount: taken.entries.length }
    const session = this.#session
    if (session === null) return without
    const { inbox, lateValuesMax } = this.#deps
    const { partition } = inbox
    const { cards, entities } = readFor(taken)
    let { entryCount } = without
    try {
      let reading = await session.read(cards, entities, this.#committed)
      if (reading.kind === 'read') {
        const { newestEventMs } = this.#committed
        const room = { valuesMax: lateValuesMax, withEntities: true }
        const more = readByLate(taken, reading.snapshot, newestEventMs, room)
        if (more !== null) {
          entryCount = more.entryCount
          reading = await session.readMore(reading.snapshot, more, this.#committed)
        }
      }
      if (reading.kind === 'fenced') throw fenced(partition)
      if (reading.kind === 'lost') {
        throw lost(partition, reading.loss, session.progress.generation)
      }
      return { snapshot: reading.snapshot, entryCount }
    } catch (error) {
      this.#doWithout(error, session)
      return without
    }
  }

  /** The batch is folded into the snapshot right after this. Returns how far each partition is seen. */
  beginFold(snapshot: PartitionSnapshot | null): readonly (PartitionProgress | null)[] {
    if (snapshot === null) return []
    this.#session?.beginFold(snapshot)
    if (this.#deps.alignment === 'live') snapshot.entityHorizonMs = this.#horizonMs(snapshot)
    return snapshot.progress
  }

  /** The batch is folded. */
  endFold(snapshot: PartitionSnapshot | null, taken: Taken, fold: PartitionFold): void {
    const session = this.#session
    if (snapshot === null || session === null) return
    session.endFold(snapshot, this.#progressAfter(session, taken, fold))
  }

  #progressAfter(
    { progress: { generation } }: PartitionSession,
    { nextOffset, labelNextOffset }: Taken,
    fold: PartitionFold,
  ): PartitionProgress {
    // An earlier owner may have written further: those records are decided and applied again.
    return { generation, nextOffset, labelNextOffset, ...fold.position }
  }

  /** Transactions before this time may need state that the most advanced partition no longer holds. */
  #horizonMs({ progress }: PartitionSnapshot): number {
    let newestMs = -Infinity
    for (const [partition, of] of progress.entries()) {
      if (partition !== this.#deps.inbox.partition && of !== null) {
        newestMs = Math.max(newestMs, of.newestEventMs)
      }
    }
    return newestMs - LATENESS_MS
  }

  /** Writes the changes of the batch. The decisions stand whether or not the write succeeds. */
  async write(snapshot: PartitionSnapshot, taken: Taken, fold: PartitionFold): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { partition } = this.#deps.inbox
    const progress = this.#progressAfter(session, taken, fold)
    try {
      const reply = await session.write(snapshot, progress, this.#committed)
      if (reply === 'fenced') throw fenced(partition)
      if (reply === 'lost') throw lost(partition, 'rolled_back')
    } catch (error) {
      this.#doWithout(error, session)
    }
  }

  /** @throws SluiceError when the state differs from what was written */
  async confirm(): Promise<void> {
    const session = this.#session
    if (session === null) return
    const { partition } = this.#deps.inbox
    const verdict = await session.confirm()
    if (verdict === 'fenced') throw fenced(partition)
    if (verdict === 'lost') throw lost(partition, 'rolled_back', session.progress.generation)
  }

  /** Called when the batch is committed, with the partition's new position; `outcomesOf` returns its outcomes. */
  committed(
    taken: Taken,
    { newestEventMs }: PartitionPosition,
    outcomesOf: () => readonly DecidedOutcome[],
  ): void {
    const { entries, labels, nextOffset, labelNextOffset } = taken
    this.#committed = { nextOffset, labelNextOffset, newestEventMs }
    if (this.#restorer === null) return
    const outcomes = outcomesOf()
    this.#restorer.push({ entries, labels, nextOffset, labelNextOffset, outcomes })
  }

  async close(): Promise<void> {
    this.#session?.close()
    await this.#restorer?.stop()
  }

  /** Continues without state. @throws for an aligned replay, or when another owner has taken over */
  #doWithout(error: unknown, session: PartitionSession): void {
    const { alignment, inbox, log, telemetry } = this.#deps
    // A refusing server is distinguished from an absent one at the start, not while the partition runs.
    const isDenied = isSluiceError(error, 'SLUICE_ACCESS_DENIED')
    const loss = isDenied ? 'unanswered' : lossOf(error)
    if (alignment === 'aligned' || loss === null) throw error
    telemetry.stateLost(loss)
    log.warn(
      { partition: inbox.partition, loss, error },
      'The partition continues to decide without its state while the state is restored.',
    )
    this.#session = null
    session.close()
    this.#restore(corruptGenerationOf(error))
  }

  #restore(corruptGeneration: number | null): void {
    this.#degradedSinceMs = this.#deps.clock.monotonicMs()
    this.#restorer = new PartitionRestorer(this.#deps, {
      committed: this.#committed,
      corruptGeneration,
      onNews: this.#onNews,
    })
  }
}
