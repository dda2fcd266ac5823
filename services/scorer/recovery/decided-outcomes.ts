// Recovers the outcomes of a range of the log, for later duplicates. The log of transactions does not hold them; the
// decision batches do. A second reader goes through the decision batches beside the reader of transactions. Both read
// in offset order, and the one that is ahead waits for the other, so little is held in memory. A decision batch that is
// gone or unreadable leaves the outcomes of its transactions unknown.

import type { Admin } from 'kafkajs'
import { isSluiceError } from '../../core/errors.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { DecisionBatch, DecisionRecord } from '../../core/wire/records.ts'
import type { LogClient, LogRecord } from '../../platform/kafka/log-client.ts'
import { readLogSince, readPartitionEnds } from '../../platform/kafka/log-ends.ts'

/** Most outcomes that wait for their transactions; larger than a batch of transactions. */
export const OUTCOMES_AHEAD_MAX = 65_536

/**
 * Largest difference between the clocks of a scorer and a producer: the search for decision batches starts this much
 * earlier.
 */
const CLOCKS_APART_MS_MAX = 3_600_000

export interface DecidedOutcome {
  readonly card: string
  readonly offset: number
  readonly outcome: DecisionRecord['outcome']
}

/** Outcomes of a range of the log, and the offsets that became dead letters instead. */
export interface DecidedStretch {
  readonly outcomes: readonly DecidedOutcome[]
  readonly refused: ReadonlySet<number>
}

type DecidedBlock = Pick<DecisionBatch, 'decisions' | 'deadLetterOffsets' | 'nextOffset'>

export interface OutcomesSource {
  readonly admin: Admin
  readonly readRange: LogClient['readRange']
  readonly codecs: Pick<Codecs, 'decisionBatch'>
  readonly decisionsTopic: string
  readonly partition: number
}

/** First decisions in offset order, passed from the reader of decision batches to the reader of transactions. */
export class DecidedOutcomes {
  readonly #toOffset: number
  readonly #ahead = new Map<number, DecidedOutcome>()
  readonly #refused = new Set<number>()
  /** Outcomes below this offset are taken, or not wanted. */
  #takenTo: number
  /** Outcomes below this offset are here, or in no decision batch. */
  #knownTo: number
  #isOver = false
  #failure: unknown = null
  #onKnown: () => void = () => undefined
  #onRoom: () => void = () => undefined

  /** Covers the transactions from `fromOffset` up to, but not including, `toOffset`. */
  constructor(fromOffset: number, toOffset: number) {
    this.#takenTo = fromOffset
    this.#knownTo = fromOffset
    this.#toOffset = toOffset
  }

  /** True when no more outcomes are wanted. */
  get isComplete(): boolean {
    return this.#isOver || this.#knownTo >= this.#toOffset
  }

  get size(): number {
    return this.#ahead.size + this.#refused.size
  }

  /** Adds a decision batch; waits while there is no room. They arrive in offset order. */
  async add({ decisions, deadLetterOffsets, nextOffset }: DecidedBlock) {
    while (this.#ahead.size + this.#refused.size >= OUTCOMES_AHEAD_MAX && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve
      })
    }
    for (const { offset, revision, duplicateOfOffset, card, outcome } of decisions) {
      if (offset < this.#takenTo || offset >= this.#toOffset) continue
      if (revision === 0 && duplicateOfOffset === null) {
        this.#ahead.set(offset, { card, offset, outcome })
      }
    }
    for (const offset of deadLetterOffsets) if (offset >= this.#takenTo) this.#refused.add(offset)
    this.#knownTo = Math.max(this.#knownTo, nextOffset)
    this.#onKnown()
  }

  /** No more decision batches follow; `failure` is the error that ended the reading, if any. */
  end(failure: unknown = null): void {
    this.#isOver = true
    this.#failure ??= failure
    this.#onKnown()
    this.#onRoom()
  }

  /**
   * Takes the outcomes below `nextOffset` that were not taken before. Waits for their decision batches. @throws the
   * failure of the reader
   */
  async take(nextOffset: number): Promise<DecidedStretch> {
    while (this.#knownTo < nextOffset && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#onKnown = resolve
      })
    }
    if (this.#failure !== null) throw this.#failure as Error
    const taken: DecidedOutcome[] = []
    for (const [offset, decided] of this.#ahead) {
      if (offset >= nextOffset) break
      taken.push(decided)
      this.#ahead.delete(offset)
    }
    this.#takenTo = Math.max(this.#takenTo, nextOffset)
    const refused = new Set([...this.#refused].filter((offset) => offset < nextOffset))
    for (const offset of refused) this.#refused.delete(offset)
    this.#onRoom()
    return { outcomes: taken, refused }
  }
}

/** A background reading of decision batches. */
export interface OutcomesReading {
  readonly outcomes: DecidedOutcomes
  /** Stops the reading, finished or not. */
  close(): Promise<void>
}

/**
 * Reads the outcomes of the transactions from `fromOffset` up to, but not including, `toOffset`, none of which was sent
 * before `sinceMs`. The signal stops the reading too.
 */
export function readDecidedOutcomes(
  source: OutcomesSource,
  fromOffset: number,
  toOffset: number,
  sinceMs: number,
  signal: AbortSignal | null,
): OutcomesReading {
  const outcomes = new DecidedOutcomes(fromOffset, toOffset)
  const stopping = new AbortController()
  const stopped = signal === null ? stopping.signal : AbortSignal.any([stopping.signal, signal])
  const end = (): void => {
    outcomes.end()
  }
  stopped.addEventListener('abort', end, { once: true })
  const addAll = async (records: readonly LogRecord[]): Promise<void> => {
    for (const { value } of records) {
      if (outcomes.isComplete) break
      const decoded = source.codecs.decisionBatch.decode(value)
      if (decoded.ok) await outcomes.add(decoded.value)
    }
    if (outcomes.isComplete) stopping.abort()
  }
  const reading = readSince(source, sinceMs, addAll, stopped).then(end, (error: unknown) => {
    outcomes.end(stopped.aborted ? null : error)
  })
  return {
    outcomes,
    async close() {
      stopping.abort()
      await reading
    },
  }
}

/**
 * Reads the decisions from a time on, to the current end. Records that retention removes during the reading are
 * skipped.
 */
async function readSince(
  { admin, readRange, decisionsTopic: topic, partition }: OutcomesSource,
  sinceMs: number,
  onRecords: (records: readonly LogRecord[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const earliestMs = sinceMs - CLOCKS_APART_MS_MAX
  const range = (await readLogSince(admin, topic, earliestMs)).get(partition)
  if (range === undefined) return
  const to = range.high
  for (let from = Math.max(range.since ?? range.low, range.low); ;) {
    try {
      await readRange({ topic, partition, from, to }, onRecords, signal)
      return
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE')) throw error
      const { low } = await readPartitionEnds(admin, topic, partition)
      if (low <= from) throw error
      from = low
    }
  }
}
