// Brings the state of a partition back beside its work: the partition goes on deciding without it, and this reads the log a second
// time, folds, and publishes nothing. When next to nothing is left to fold, the partition holds at the end of a batch,
// lets the rest be folded, and has a state that holds exactly what is committed.
//
// Whatever happened, the way is the same: raise the epoch (an earlier write on its way can then change nothing), look
// what stands, and fold what it lacks. A failure starts that over, after a while.

import { isSluiceError } from '../../core/errors.ts'
import { isBehind, type Frontier } from '../../core/stream/partition-progress.ts'
import { kafkaRefusal } from '../../platform/kafka/kafka-failure.ts'
import type { Logger } from '../../platform/log.ts'
import type {
  PartitionSession,
  PartitionStore,
} from '../../platform/redis/partition-store-contract.ts'
import { DecidedTail } from './decided-tail.ts'
import { corruptGenerationOf, fenced, lost } from '../partition-errors.ts'
import { Refold, type Foldable, type RefoldDeps } from './state-rebuilder.ts'
import { planState } from './state-plan.ts'

const RETRY_FIRST_MS = 50
const RETRY_MS_MAX = 2_000
/** Nobody waits for a restore, so Redis may take its time. */
const ANSWER_MS_MAX = 5_000
/** How long a partition holds, in longest waits for an answer. */
const HOLD_ANSWERS_MAX = 2
/** Messages that a partition has decided without its state and that are kept for it; older ones are read again. */
export const TAIL_MESSAGES_MAX = 16_384
/** The partition is held when at most this many messages are left to fold. */
export const HOLD_MESSAGES_MAX = 1_024

export interface RestorerDeps extends RefoldDeps {
  readonly store: PartitionStore
  readonly log: Logger
  /** Longest wait for an answer while the partition holds, ms. */
  readonly answerMsMax: number
  /** The oldest offsets that the log holds. */
  readonly readLow: () => Promise<Frontier>
  /** The epoch that the partition holds; null when it has none yet. */
  readonly epochs: { held: number | null }
}

export interface RestorerStart {
  /** All that is committed; batches pushed later follow it. */
  readonly committed: Frontier
  /** A generation that is known to hold a damaged value; null for none. */
  readonly corruptGeneration: number | null
  /** Called when the partition may hold, and when there is a failure to be seen. */
  readonly onNews: () => void
}

export class PartitionRestorer {
  readonly #deps: RestorerDeps
  readonly #tail: DecidedTail
  readonly #onNews: () => void
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>
  #corruptGeneration: number | null
  #isNear = false
  #failure: Error | null = null
  #hold: ((session: PartitionSession | null) => void) | null = null
  #wake: (() => void) | null = null

  constructor(deps: RestorerDeps, { committed, corruptGeneration, onNews }: RestorerStart) {
    this.#deps = deps
    this.#tail = new DecidedTail(committed, TAIL_MESSAGES_MAX)
    this.#corruptGeneration = corruptGeneration
    this.#onNews = onNews
    this.#done = this.#run()
  }

  /** True when holding the partition would let it go on with its state at once. */
  get isNear(): boolean {
    return this.#isNear
  }

  /** Another owner has taken over the partition: what no further attempt can mend. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Takes a batch that was decided and committed. */
  push(batch: Foldable): void {
    this.#tail.push(batch)
    this.#wake?.()
  }

  /**
   * Folds the rest, while the partition decides nothing. The session of a state that holds exactly what is committed; null
   * when Redis has failed once more or is slow, and the partition is to go on without.
   */
  finish(): Promise<PartitionSession | null> {
    return new Promise((resolve) => {
      const limit = setTimeout(() => {
        this.#isNear = false
        this.#release(null)
      }, HOLD_ANSWERS_MAX * this.#deps.answerMsMax)
      this.#hold = (session) => {
        clearTimeout(limit)
        resolve(session)
      }
      this.#wake?.()
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake?.()
    await this.#done
  }

  async #run(): Promise<void> {
    const { log, inbox } = this.#deps
    const { signal } = this.#stopping
    let waitMs = RETRY_FIRST_MS
    while (!signal.aborted) {
      try {
        const session = await this.#restore()
        if (session === null) return
        log.info({ partition: inbox.partition }, 'The state of the partition is up to date again.')
        this.#release(session)
        return
      } catch (error) {
        this.#isNear = false
        if (isSluiceError(error, 'SLUICE_PARTITION_FENCED')) {
          this.#failure = error
          this.#release(null)
          this.#onNews()
          return
        }
        this.#release(null)
        // A refusal lasts until somebody grants what is missing. Until then degraded decisions are better than none.
        const refusal = kafkaRefusal(error)
        const line = { partition: inbox.partition, error: refusal ?? error }
        if (refusal === null) log.warn(line, 'The state could not be restored yet.')
        else log.error(line, 'The state cannot be restored: a server refuses us.')
      }
      await this.#sleep(waitMs)
      waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)
    }
  }

  /** Null when it was stopped. */
  async #restore(): Promise<PartitionSession | null> {
    const session = await this.#open()
    try {
      const refold = new Refold(this.#deps, session)
      const isDone = await this.#foldAll(session, refold)
      if (isDone) return session
    } catch (error) {
      this.#corruptGeneration = corruptGenerationOf(error) ?? this.#corruptGeneration
      session.close()
      throw error
    }
    session.close()
    return null
  }

  async #open(): Promise<PartitionSession> {
    const { store, epochs, inbox, readLow, log } = this.#deps
    const { partition } = inbox
    const epoch = await store.claim(partition, epochs.held)
    if (epoch === null) throw fenced(partition)
    epochs.held = epoch
    const standing = await store.readStatus(partition)
    const plan = planState({
      standing,
      committed: this.#tail.start,
      low: await readLow(),
      corruptGeneration: this.#corruptGeneration,
      epoch,
    })
    const { kind, from } = plan
    const { generation, nextOffset } = from
    log.info(
      { partition, plan: kind, generation, from: nextOffset, to: this.#tail.start.nextOffset },
      'The state of the partition is being restored.',
    )
    const purpose = kind === 'rebuild' ? 'rebuild' : 'work'
    const session = store.open(partition, epoch, standing, from, purpose)
    session.answerMsMax = ANSWER_MS_MAX
    return session
  }

  /** Folds until the partition holds and nothing is left; false when stopped before. */
  async #foldAll(session: PartitionSession, refold: Refold): Promise<boolean> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      if (isBehind(refold.reached, this.#tail.start)) {
        this.#isNear = false
        await refold.foldLog(this.#tail.start, signal)
        continue
      }
      if (session.isRebuild) await this.#switchOver(session)
      this.#tellNear()
      const batch = this.#tail.first
      if (batch !== null) {
        await refold.foldBatch(batch, signal)
        this.#tail.done(batch)
      } else if (!this.#isHeld()) {
        await this.#sleep(null)
      } else {
        await this.#confirm(session)
        // The partition may have gone on meanwhile.
        if (this.#isHeld()) return true
        session.answerMsMax = ANSWER_MS_MAX
      }
    }
    return false
  }

  #isHeld(): boolean {
    return this.#hold !== null
  }

  #tellNear(): void {
    const isNear = this.#tail.messageCount <= HOLD_MESSAGES_MAX
    if (isNear === this.#isNear) return
    this.#isNear = isNear
    if (isNear) this.#onNews()
  }

  async #switchOver(session: PartitionSession): Promise<void> {
    const { partition } = this.#deps.inbox
    const reply = await session.switchOver()
    if (reply === 'fenced') throw fenced(partition)
    if (reply === 'lost') throw lost(partition, 'rolled_back')
  }

  /** The partition waits for this one, and for its reads from now on: an answer must come as promptly as for those. */
  async #confirm(session: PartitionSession): Promise<void> {
    const { answerMsMax, inbox } = this.#deps
    session.answerMsMax = answerMsMax
    const verdict = await session.confirm()
    if (verdict === 'fenced') throw fenced(inbox.partition)
    if (verdict === 'lost') throw lost(inbox.partition, 'rolled_back')
  }

  #release(session: PartitionSession | null): void {
    const hold = this.#hold
    this.#hold = null
    hold?.(session)
  }

  /** Until woken by a batch, a hold or a stop; at most `limitMs` unless null. */
  async #sleep(limitMs: number | null): Promise<void> {
    if (this.#stopping.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = limitMs === null ? null : setTimeout(resolve, limitMs)
      this.#wake = () => {
        if (limitMs !== null && !this.#stopping.signal.aborted) return
        if (timer !== null) clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = null
  }
}
