// Counts the topics of a run, message by message, and finds errors: an input without an answer, an answer given twice,
// an answer to nothing. Pure, and independent of the scorer's code.

import { SluiceError } from '../../services/core/errors.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import type {
  Alert,
  AlertAction,
  DecisionBatch,
  Outcome,
} from '../../services/core/wire/records.ts'

/** One byte of memory for each offset of a partition. */
const OFFSETS_PER_PARTITION_MAX = 200_000_000
const OFFSETS_AT_START = 65_536
// The state of one offset, in one byte.
const IS_TRANSACTION = 1
const IS_WATERMARK = 2
const IS_ANSWERED = 4

export type TalliedTopic = 'transactions' | 'decisions' | 'alerts' | 'dead-letters'

/** A message as the tally needs it. */
export interface TalliedMessage {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly value: Uint8Array | null
}

/** Result of the reading. */
export interface TallyResult {
  /** Messages of the transactions topic other than watermarks. */
  readonly transactions: number
  readonly watermarks: number
  readonly decisions: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  /** Dead letters of transactions. */
  readonly deadLetters: number
  readonly labelDeadLetters: number
  readonly deadLettersByReason: Readonly<Record<string, number>>
  /** First revisions, by action. */
  readonly alerts: Readonly<Record<AlertAction, number>>
  /** Later revisions: blocks extended and released, decisions that a late payment changed. */
  readonly laterWords: number
  /** Decisions on a transaction id that was decided before; they count as answers too. */
  readonly duplicates: number
  /** Answers to an offset that already had one. Must be 0. */
  readonly repeatedAnswers: number
  /** Alert revisions that were already there. Must be 0. */
  readonly repeatedAlerts: number
  /** Transactions without an answer. Must be 0. */
  readonly missing: number
  /** Answers to an offset that holds no transaction. Must be 0. */
  readonly strays: number
  /** Messages of the output topics that cannot be decoded. Must be 0. */
  readonly notRead: number
  /** Time stamps of the first and the last decision batch; null without any. */
  readonly firstBatchMs: number | null
  readonly lastBatchMs: number | null
  readonly lastBatch: Pick<
    DecisionBatch,
    'backend' | 'modelVersion' | 'modelDigest' | 'mode' | 'alignment'
  > | null
}

/** Counts the messages, in any order of topics and partitions. */
export class TopicTally {
  readonly #codecs: Codecs
  readonly #offsets = new Map<number, Uint8Array>()
  readonly #alertsSeen = new Set<string>()
  readonly #outcomes: Record<Outcome, number> = { approve: 0, flag: 0, block: 0 }
  #laterWords = 0
  readonly #alerts: Record<AlertAction, number> = { unknown: 0, flag: 0, block: 0, release: 0 }
  readonly #deadLettersByReason: Record<string, number> = {}
  #decisions = 0
  #deadLetters = 0
  #labelDeadLetters = 0
  #duplicates = 0
  #repeatedAnswers = 0
  #repeatedAlerts = 0
  #notRead = 0
  #firstBatchMs: number | null = null
  #lastBatchMs: number | null = null
  #lastBatch: TallyResult['lastBatch'] = null

  constructor(codecs: Codecs) {
    this.#codecs = codecs
  }

  /** @throws SluiceError SLUICE_INPUT_INVALID for more offsets than can be held. */
  add(topic: TalliedTopic, message: TalliedMessage): void {
    switch (topic) {
      case 'transactions': {
        const { kind } = this.#codecs.decodeTransactionMessage(message.value)
        const flag = kind === 'watermark' ? IS_WATERMARK : IS_TRANSACTION
        this.#mark(message.partition, message.offset, flag)
        return
      }
      case 'decisions':
        this.#addBatch(message)
        return
      case 'alerts': {
        const decoded = this.#codecs.alert.decode(message.value)
        if (decoded.ok) this.#addAlert(decoded.value)
        else this.#notRead += 1
        return
      }
      case 'dead-letters':
        this.#addDeadLetter(message)
        return
    }
  }

  result(): TallyResult {
    let transactions = 0
    let watermarks = 0
    let missing = 0
    let strays = 0
    for (const flags of this.#offsets.values()) {
      for (const flag of flags) {
        if (flag === 0) continue
        if ((flag & IS_TRANSACTION) !== 0) transactions += 1
        if ((flag & IS_WATERMARK) !== 0) watermarks += 1
        if (flag === IS_TRANSACTION) missing += 1
        if ((flag & IS_ANSWERED) !== 0 && (flag & IS_TRANSACTION) === 0) strays += 1
      }
    }
    return {
      transactions,
      watermarks,
      missing,
      strays,
      decisions: this.#decisions,
      outcomes: { ...this.#outcomes },
      deadLetters: this.#deadLetters,
      labelDeadLetters: this.#labelDeadLetters,
      deadLettersByReason: { ...this.#deadLettersByReason },
      alerts: { ...this.#alerts },
      laterWords: this.#laterWords,
      duplicates: this.#duplicates,
      repeatedAnswers: this.#repeatedAnswers,
      repeatedAlerts: this.#repeatedAlerts,
      notRead: this.#notRead,
      firstBatchMs: this.#firstBatchMs,
      lastBatchMs: this.#lastBatchMs,
      lastBatch: this.#lastBatch,
    }
  }

  #addBatch({ timestampMs, value }: TalliedMessage): void {
    const decoded = this.#codecs.decisionBatch.decode(value)
    if (!decoded.ok) {
      this.#notRead += 1
      return
    }
    const batch = decoded.value
    for (const decision of batch.decisions) {
      this.#decisions += 1
      this.#outcomes[decision.outcome] += 1
      if (decision.duplicateOfOffset !== null) this.#duplicates += 1
      this.#answer(batch.partition, decision.offset)
    }
    // Batches of labels alone answer nothing and would extend the time span.
    if (batch.decisions.length === 0) return
    this.#firstBatchMs = Math.min(this.#firstBatchMs ?? timestampMs, timestampMs)
    this.#lastBatchMs = Math.max(this.#lastBatchMs ?? timestampMs, timestampMs)
    const { backend, modelVersion, modelDigest, mode, alignment } = batch
    this.#lastBatch = { backend, modelVersion, modelDigest, mode, alignment }
  }

  #addAlert({ alertId, revision, action, cause }: Alert): void {
    const key = `${alertId}/${revision}`
    if (this.#alertsSeen.has(key)) this.#repeatedAlerts += 1
    this.#alertsSeen.add(key)
    if (cause === null) this.#alerts[action] += 1
    else this.#laterWords += 1
  }

  #addDeadLetter({ value }: TalliedMessage): void {
    const decoded = this.#codecs.deadLetter.decode(value)
    if (!decoded.ok) {
      this.#notRead += 1
      return
    }
    const { topic, partition, offset, reason } = decoded.value
    this.#deadLettersByReason[reason] = (this.#deadLettersByReason[reason] ?? 0) + 1
    if (topic.endsWith('labels')) {
      this.#labelDeadLetters += 1
      return
    }
    this.#deadLetters += 1
    this.#answer(partition, offset)
  }

  #answer(partition: number, offset: number): void {
    if ((this.#mark(partition, offset, IS_ANSWERED) & IS_ANSWERED) !== 0) this.#repeatedAnswers += 1
  }

  /** Sets the flag and returns the flags set before. */
  #mark(partition: number, offset: number, flag: number): number {
    const flags = this.#flagsFor(partition, offset)
    const before = flags[offset] ?? 0
    flags[offset] = before | flag
    return before
  }

  #flagsFor(partition: number, offset: number): Uint8Array {
    const known = this.#offsets.get(partition) ?? new Uint8Array(OFFSETS_AT_START)
    if (offset >= OFFSETS_PER_PARTITION_MAX) {
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `Partition ${partition} has offset ${offset}; runs are checked up to ` +
          `${OFFSETS_PER_PARTITION_MAX} messages a partition. Use --count.`,
      )
    }
    let size = known.length
    while (size <= offset) size *= 2
    const flags = size === known.length ? known : new Uint8Array(size)
    if (flags !== known) flags.set(known)
    this.#offsets.set(partition, flags)
    return flags
  }
}
