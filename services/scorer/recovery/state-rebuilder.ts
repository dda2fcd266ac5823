// Applies decided records to the state again, without deciding or publishing anything.

import type { Admin } from 'kafkajs'
import { isSluiceError } from '../../core/errors.ts'
import { storedOutcomeOf } from '../../core/decision/decide.ts'
import { PartitionFold, type PartitionPosition } from '../../core/features/engine/partition-fold.ts'
import {
  isBehind,
  type Frontier,
  type PartitionProgress,
} from '../../core/stream/partition-progress.ts'
import type { LogClient, LogRange, LogRecord } from '../../platform/kafka/log-client.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import type {
  PartitionReading,
  PartitionSession,
} from '../../platform/redis/partition-store-contract.ts'
import {
  readDecidedOutcomes,
  type DecidedOutcome,
  type OutcomesReading,
} from './decided-outcomes.ts'
import { frontierAfter, inParts, type Cut } from '../batch/split-batch.ts'
import { fenced, lost } from '../partition-errors.ts'
import {
  foldOptionsOf,
  RecordQueue,
  type InboxOptions,
  type Taken,
} from '../intake/record-queue.ts'
import { foldBatch } from '../batch/fold-batch.ts'
import { readSetOf, readByLate } from '../batch/read-set.ts'

export interface RefoldDeps {
  readonly admin: Admin
  readonly readRange: LogClient['readRange']
  readonly decisionsTopic: string
  readonly inbox: InboxOptions
  readonly alignment: 'live' | 'aligned'
  /** Values for late transactions beyond which a batch is split. */
  readonly lateValuesMax: number
  readonly telemetry: Pick<ScorerTelemetry, 'eventsRestored' | 'stateRebuilt'>
}

/** The part of a batch that a rebuild needs. */
export interface Foldable extends Pick<
  Taken,
  'entries' | 'labels' | 'nextOffset' | 'labelNextOffset'
> {
  /** Outcomes, for later duplicates; the log of transactions does not hold them. */
  readonly outcomes?: readonly DecidedOutcome[]
}

/** Continues to apply records from the position of a state. */
export class Refold {
  readonly #deps: RefoldDeps
  readonly #session: PartitionSession
  readonly #fold: PartitionFold
  #reached: Frontier

  constructor(deps: RefoldDeps, session: PartitionSession) {
    this.#deps = deps
    this.#session = session
    this.#fold = new PartitionFold(foldOptionsOf(deps.inbox), positionOf(session.progress))
    this.#reached = session.progress
  }

  /** Everything below this position is in the state. */
  get reached(): Frontier {
    return this.#reached
  }

  /** Reads the log and the outcomes up to `to`, and applies them. */
  async foldLog(to: Frontier, signal: AbortSignal | null): Promise<void> {
    const { readRange, inbox, telemetry } = this.#deps
    const { partition, transactionsTopic, labelsTopic } = inbox
    const from = this.#reached
    telemetry.stateRebuilt()
    const queue = new RecordQueue(inbox, from.nextOffset, from.labelNextOffset)
    const failing = new AbortController()
    const stopped = signal === null ? failing.signal : AbortSignal.any([failing.signal, signal])
    let decided: OutcomesReading | null = null
    let folding: Promise<void> = Promise.resolve()
    const read = async (kind: 'transactions' | 'labels', range: LogRange): Promise<void> => {
      const fold = async (records: readonly LogRecord[]): Promise<void> => {
        queue.push(kind, records)
        if (kind === 'transactions') {
          decided ??= this.#readDecided(to.nextOffset, records, stopped)
        }
        await this.#foldQueue(queue, decided?.outcomes ?? null, stopped)
      }
      const foldInTurn = (records: readonly LogRecord[]): Promise<void> => {
        // After a failure nothing more is applied.
        folding = folding.then(() => fold(records))
        return folding
      }
      try {
        await readRange(range, foldInTurn, stopped)
      } catch (error) {
        // Retention was faster; the next attempt begins with what the log holds by then.
        const isGone = isSluiceError(error, 'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE')
        failing.abort(isGone ? lost(partition, 'behind') : error)
      }
    }
    const transactions = { topic: transactionsTopic, from: from.nextOffset, to: to.nextOffset }
    const labels = { topic: labelsTopic, from: from.labelNextOffset, to: to.labelNextOffset }
    await Promise.all([
      read('transactions', { ...transactions, partition }),
      read('labels', { ...labels, partition }),
    ])
    await (decided as OutcomesReading | null)?.close()
    failing.signal.throwIfAborted()
    // The rest of the range holds only control records.
    this.#reached = furthestFrontier(to, this.#reached)
  }

  /** Applies queued records that are not applied yet. */
  async #foldQueue(
    queue: RecordQueue,
    decided: OutcomesReading['outcomes'] | null,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      // A transaction that was ahead of the clock when it was decided may not be so now. Its decision batch says that
      // it was refused.
      const taken = queue.take(Infinity, Infinity, () => true)
      if (taken === null) return
      const stretch = await decided?.take(taken.nextOffset)
      signal.throwIfAborted()
      const entries = taken.entries.filter(({ offset }) => !stretch?.refused.has(offset))
      await this.#apply({ ...taken, entries, outcomes: stretch?.outcomes ?? [] }, signal)
    }
  }

  /**
   * Reads the outcomes from the state's position on. A decision batch is written after its transactions, so none is
   * older than the first of them.
   */
  #readDecided(
    toOffset: number,
    first: readonly LogRecord[],
    signal: AbortSignal,
  ): OutcomesReading {
    const { admin, readRange, inbox, decisionsTopic } = this.#deps
    const { codecs, partition } = inbox
    const source = { admin, readRange, codecs, decisionsTopic, partition }
    const sinceMs = first.reduce((ms, { timestampMs }) => Math.min(ms, timestampMs), Infinity)
    return readDecidedOutcomes(source, this.#reached.nextOffset, toOffset, sinceMs, signal)
  }

  /** Applies a batch from memory, leaving out what the state already holds. Batches arrive in order, without gaps. */
  async foldBatch(batch: Foldable, signal: AbortSignal): Promise<void> {
    const { nextOffset, labelNextOffset } = this.#reached
    if (!isBehind(this.#reached, batch)) return
    const left = {
      ...batch,
      entries: batch.entries.filter(({ offset }) => offset >= nextOffset),
      outcomes: (batch.outcomes ?? []).filter(({ offset }) => offset >= nextOffset),
      labels: batch.labels.filter(({ offset }) => offset >= labelNextOffset),
    }
    await this.#apply(left, signal)
  }

  /** Applies a batch in as many parts as late transactions need. The state is consistent after each. */
  async #apply(batch: Foldable, signal: AbortSignal | null): Promise<void> {
    await inParts(batch, frontierFoldableAfter, (part) => {
      signal?.throwIfAborted()
      return this.#applySome(part)
    })
  }

  /** Returns the number of entries applied: the first ones, nearly always all. */
  async #applySome(all: Foldable): Promise<number> {
    const { inbox, alignment, telemetry } = this.#deps
    const session = this.#session
    const { reading, entryCount } = await this.#read(all)
    const [batch] = frontierFoldableAfter(all, entryCount)
    const frontier = furthestFrontier(batch, this.#reached)
    if (reading.kind !== 'read') {
      throw reading.kind === 'fenced'
        ? fenced(inbox.partition)
        : lost(inbox.partition, reading.loss, session.progress.generation)
    }
    const { snapshot } = reading
    const { entries, labels } = batch
    session.beginFold(snapshot)
    foldBatch(
      { labels, entries, labelNextOffset: frontier.labelNextOffset },
      this.#fold,
      snapshot,
      alignment,
    )
    for (const { card, offset, outcome } of batch.outcomes ?? []) {
      snapshot.card(card).setOutcome(offset, storedOutcomeOf(outcome))
    }
    const { generation } = session.progress
    const progress: PartitionProgress = { generation, ...frontier, ...this.#fold.position }
    session.endFold(snapshot, progress)
    // Other partitions of this process read memory up to what Redis holds: only that part may be compacted.
    const { newestEventMs } = session.progress
    const committed = { ...this.#reached, newestEventMs }
    const reply = await session.write(snapshot, progress, committed)
    if (reply === 'fenced') throw fenced(inbox.partition)
    if (reply === 'lost') throw lost(inbox.partition, 'rolled_back')
    this.#reached = frontier
    telemetry.eventsRestored(entries.length + labels.length)
    return entryCount
  }

  async #read(batch: Foldable): Promise<{ reading: PartitionReading; entryCount: number }> {
    const session = this.#session
    const { cards, entities } = readSetOf(batch)
    const reading = await session.read(cards, entities, this.#reached)
    const all = { reading, entryCount: batch.entries.length }
    if (reading.kind !== 'read') return all
    const { snapshot } = reading
    // Entities are the same before a late transaction and after it, so they are not read.
    const room = { valuesMax: this.#deps.lateValuesMax, withEntities: false }
    const late = readByLate(batch, snapshot, this.#fold.position.newestEventMs, room)
    if (late === null) return all
    const more = await session.readMore(snapshot, late, this.#reached)
    return { reading: more, entryCount: late.entryCount }
  }
}

/** Copies only the position, so that other fields of a progress do not reach the fold's position. */
function positionOf(progress: PartitionProgress): PartitionPosition {
  const { newestEventMs, watermarkMs, labelWatermarkMs } = progress
  return { newestEventMs, watermarkMs, labelWatermarkMs }
}

function frontierFoldableAfter(batch: Foldable, entryCount: number): Cut<Foldable> {
  const [first, rest] = frontierAfter(batch, entryCount)
  if (rest === null) return [first, null]
  const { outcomes = [] } = batch
  return [
    { ...first, outcomes: outcomes.filter(({ offset }) => offset < first.nextOffset) },
    { ...rest, outcomes: outcomes.filter(({ offset }) => offset >= first.nextOffset) },
  ]
}

function furthestFrontier(a: Frontier, b: Frontier): Frontier {
  return {
    nextOffset: Math.max(a.nextOffset, b.nextOffset),
    labelNextOffset: Math.max(a.labelNextOffset, b.labelNextOffset),
  }
}
