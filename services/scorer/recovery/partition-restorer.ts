// Restores the state of a partition while the partition decides without it. It reads the log a second time and applies
// the records without publishing anything. When few messages are left, the partition pauses, the rest is applied, and
// the state holds exactly what is committed. The steps are the same after any failure: raise the epoch, so that an
// earlier write in flight changes nothing; compare the state with the committed offsets; apply the missing records. A
// failed attempt starts over after a delay.

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
/** Longest wait for Redis during a restore, which no batch waits for. */
const ANSWER_MS_MAX = 5_000
/** Longest pause of the partition, in multiples of its longest wait for an answer. */
const HOLD_ANSWERS_MAX = 2
/** Messages kept in memory that the partition has decided without its state; older ones are read from the log again. */
export const TAIL_MESSAGES_MAX = 16_384
/** The partition pauses when at most this many messages are left to apply. */
export const HOLD_MESSAGES_MAX = 1_024

export interface RestorerDeps extends RefoldDeps {
  readonly store: PartitionStore
  readonly log: Logger
  /** Longest wait for an answer while the partition pauses, ms. */
  readonly answerMsMax: number
  /** The oldest offsets that the log holds. */
  readonly readLow: () => Promise<Frontier>
  /** The epoch that the partition holds; null when it has none yet. */
  readonly epochs: { held: number | null }
}

export interface RestorerStart {
  /** Everything that is committed; batches pushed later follow it. */
  readonly committed: Frontier
  /** A generation that is known to hold a damaged value; null for none. */
  readonly corruptGeneration: number | null
  /** Called when the partition may pause, and when `failure` is set. */
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

  /** True when the state is so close that a pause would complete it at once. */
  get isNear(): boolean {
    return this.#isNear
  }

  /** Set when another owner has taken over the partition, which no further attempt can repair. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Adds a batch that was decided and committed. */
  push(batch: Foldable): void {
    this.#tail.push(batch)
    this.#wake?.()
  }

  /**
   * Applies the rest while the partition decides nothing. Returns the session of a state that holds exactly what is
   * committed. Null when Redis has failed again or is slow; the partition then continues without state.
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
        // A refusal lasts until somebody grants the right. Until then degraded decisions are better than none.
        const refusal = kafkaRefusal(error)
        const line = { partition: inbox.partition, error: refusal ?? error }
        if (refusal === null) log.warn(line, 'The state could not be restored yet.')
        else log.error(line, 'The state cannot be restored: a server refuses access.')
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

  /** Applies records until the partition pauses and nothing is left. False when stopped before. */
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
        // The partition may have continued in the meantime.
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

  /**
   * From here on the partition waits for this restore and its reads, so answers have the partition's own time limit.
   */
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

  /** Sleeps until woken by a batch, a pause or a stop, at most `limitMs` unless null. */
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
