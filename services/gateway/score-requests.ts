// Answers transactions with the decisions that the scorer commits. A transaction is written to the log once; its
// decision is read back from the log, so that there is one truth: the answer, a repeated answer, and the answer of
// another gateway are the same record.
//
// A repeated transaction must have the same content. What was written first counts: its offset is the decision's, and
// where this process did not write it, the record is read back from the log and compared.

import { hash } from 'node:crypto'
import { actionOf, alertIdOf } from '../core/decision/decide.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Alert, DecisionBatch, DecisionRecord } from '../core/wire/records.ts'
import type { FallbackReason } from '../platform/metrics/gateway-telemetry.ts'
import type { KeptAlert, KeptDecision, Versions } from './answers.ts'
import type { Entry, RecentDecisions } from './recent-decisions.ts'

/** Alerts whose decision is not read yet. They are in one transaction, so it follows at once. */
const EARLY_ALERTS_MAX = 4_096
/** Reports of a partition of alerts, up to its end, after which a decision has no alert. */
const ROUNDS_WITHOUT_ALERT = 2
const NO_ALERT: KeptAlert = { action: 'none', alertId: null, lease: null }
const CONTROL_ANNOTATION = 'control_group'

/** The log as this needs it. */
export interface ScoreLog {
  /** Appends a transaction; resolves with its place. Rejects when it may not be written. */
  append(
    transaction: Transaction,
    value: Buffer,
    headers: Readonly<Record<string, string>> | undefined,
  ): Promise<{ readonly partition: number; readonly offset: number }>
  /** The digest of the transaction at a place of the log; null when it cannot be read in time. */
  digestAt(partition: number, offset: number, deadlineMs: number): Promise<string | null>
}

export type ScoreResult =
  | {
      readonly kind: 'decided'
      readonly decision: KeptDecision
      readonly alert: KeptAlert
      /** How the request got it: it wrote the transaction, another one did and waits, or it was decided before. */
      readonly by: 'written' | 'shared' | 'repeated'
    }
  | { readonly kind: 'fallback'; readonly reason: FallbackReason }
  | { readonly kind: 'conflict' }

export interface ScoreRequest {
  readonly transaction: Transaction
  /** As it is written. */
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>> | undefined
  /** By `performance.now()`. */
  readonly deadlineMs: number
}

export interface ScoreRequestsOptions {
  readonly log: ScoreLog
  readonly recent: RecentDecisions
  /** Name of the topic of transactions, a part of alert ids. */
  readonly topic: string
}

/** A decision that waits for the alert in its transaction. */
interface AwaitedAlert {
  readonly entry: Entry
  roundsLeft: number
}

export class ScoreRequests {
  readonly #options: ScoreRequestsOptions
  readonly #earlyAlerts = new Map<string, Alert>()
  readonly #awaited = new Map<number, Map<number, AwaitedAlert>>()
  readonly #waiting = new Set<Entry>()

  constructor(options: ScoreRequestsOptions) {
    this.#options = options
  }

  async score(request: ScoreRequest): Promise<ScoreResult> {
    const { recent } = this.#options
    const digest = digestOf(request.value)
    const known = recent.get(request.transaction.id)
    const by = known === undefined ? 'written' : known.decision === null ? 'shared' : 'repeated'
    const entry = known ?? this.#write(request, digest)
    if (entry.digest !== null && entry.digest !== digest) return { kind: 'conflict' }
    await this.#untilAnswered(entry, request.deadlineMs)
    const { decision, alert } = entry
    if (decision === null || alert === null) return { kind: 'fallback', reason: whyNot(entry) }
    const isSame = await this.#isSame(entry, decision, request, digest)
    return isSame ? { kind: 'decided', decision, alert, by } : { kind: 'conflict' }
  }

  /** Applies a decision batch of the log. */
  decided(batch: DecisionBatch): void {
    const versions: Versions = {
      model: batch.modelVersion,
      modelDigest: batch.modelDigest,
      policy: batch.policyVersion,
      policyDigest: batch.policyDigest,
      featureList: batch.featureListHash,
    }
    for (const decision of batch.decisions) {
      // A revision corrects state and alerts later; the answer is the first decision.
      if (decision.revision === 0) this.#decide(batch, decision, versions)
    }
    for (const offset of batch.deadLetterOffsets) this.#refuse(batch.partition, offset)
  }

  /** Applies an alert of the log. */
  alerted(alert: Alert): void {
    if (alert.revision !== 0) return
    const { partition, offset } = alert.source
    const entry = this.#awaited.get(partition)?.get(offset)?.entry
    if (entry !== undefined) {
      this.#complete(entry, alertOf(alert))
      return
    }
    const known = this.#options.recent.get(alert.transactionId)
    if (known?.decision?.offset === offset && known.alert !== null) return
    this.#earlyAlerts.set(placeOf(partition, offset), alert)
    for (const oldest of this.#earlyAlerts.keys()) {
      if (this.#earlyAlerts.size <= EARLY_ALERTS_MAX) break
      this.#earlyAlerts.delete(oldest)
    }
  }

  /** A partition of alerts was read; `isAtEnd` when nothing is left there that was in the log at the fetch. */
  alertsRead(partition: number, isAtEnd: boolean): void {
    const awaited = this.#awaited.get(partition)
    if (awaited === undefined || !isAtEnd) return
    for (const each of awaited.values()) {
      each.roundsLeft -= 1
      if (each.roundsLeft <= 0) this.#complete(each.entry, NO_ALERT)
    }
  }

  #write({ transaction, value, headers }: ScoreRequest, digest: string): Entry {
    const { recent, log } = this.#options
    const entry = recent.add(transaction.id, digest, Date.now())
    log.append(transaction, value, headers).then(
      ({ partition, offset }) => {
        if (entry.decision !== null) return
        entry.partition = partition
        entry.offset = offset
      },
      () => {
        if (entry.decision !== null) return
        // Whether it is in the log is not known; a repetition writes it again, and the scorer recognises that.
        recent.remove(entry)
        entry.isLost = true
        tell(entry)
      },
    )
    return entry
  }

  #decide(batch: DecisionBatch, decision: DecisionRecord, versions: Versions): void {
    const { recent } = this.#options
    const { partition } = batch
    const { transactionId, offset } = decision
    const known = recent.get(transactionId)
    if (known !== undefined && known.decision !== null) return
    const { duplicateOfOffset } = decision
    // The first decision is older than what is remembered, and nobody asks.
    if (duplicateOfOffset !== null && known === undefined) return
    const entry = known ?? recent.add(transactionId, null, batch.decidedAtMs)
    const firstOffset = duplicateOfOffset ?? offset
    // Another process, or an earlier one, wrote this id first: its content is not known here.
    if (entry.partition !== partition || entry.offset !== firstOffset) entry.digest = null
    recent.decide(entry, keptOf(decision, batch, versions), firstOffset)
    this.#findAlert(entry, decision, batch)
  }

  #findAlert(entry: Entry, decision: DecisionRecord, batch: DecisionBatch): void {
    const { partition } = batch
    const place = placeOf(partition, decision.offset)
    const early = this.#earlyAlerts.get(place)
    this.#earlyAlerts.delete(place)
    const alert = early === undefined ? this.#impliedAlert(decision, batch) : alertOf(early)
    if (alert !== null) {
      this.#complete(entry, alert)
      return
    }
    const awaited = this.#awaited.get(partition) ?? new Map<number, AwaitedAlert>()
    this.#awaited.set(partition, awaited)
    awaited.set(decision.offset, { entry, roundsLeft: ROUNDS_WITHOUT_ALERT })
  }

  /** The alert of a decision, as far as the decision itself says; null when only the alert does. */
  #impliedAlert(decision: DecisionRecord, batch: DecisionBatch): KeptAlert | null {
    const { offset, segment, outcome, annotations, duplicateOfOffset } = decision
    const isControl = annotations.includes(CONTROL_ANNOTATION)
    if (duplicateOfOffset !== null || (outcome === 'approve' && !isControl)) return NO_ALERT
    // A segment may have a mode of its own.
    if (segment !== null && !isControl) return null
    const action = isControl ? 'flag' : actionOf(outcome, batch.mode)
    if (action === null) return NO_ALERT
    if (action !== 'flag') return null
    const alertId = alertIdOf(batch.streamId, this.#options.topic, batch.partition, offset)
    return { action, alertId, lease: null }
  }

  #complete(entry: Entry, alert: KeptAlert): void {
    this.#awaited.get(entry.partition)?.delete(entry.offset)
    entry.alert = alert
    tell(entry)
  }

  /** The scorer could not decide the message at this place. */
  #refuse(partition: number, offset: number): void {
    for (const entry of this.#waiting) {
      if (entry.partition !== partition || entry.offset !== offset) continue
      entry.isRefused = true
      tell(entry)
    }
  }

  /** Resolves once the entry is answered, or at the deadline. */
  async #untilAnswered(entry: Entry, deadlineMs: number): Promise<void> {
    if (isDone(entry)) return
    const waiters = (entry.waiters ??= new Set())
    this.#waiting.add(entry)
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        waiters.delete(end)
        if (waiters.size === 0) {
          entry.waiters = null
          this.#waiting.delete(entry)
        }
        resolve()
      }
      const timer = setTimeout(end, Math.max(0, deadlineMs - performance.now()))
      waiters.add(end)
    })
  }

  /** True when the transaction of a request is the one that was decided. */
  async #isSame(
    entry: Entry,
    decision: KeptDecision,
    { transaction, deadlineMs }: ScoreRequest,
    digest: string,
  ): Promise<boolean> {
    if (entry.digest === null) {
      const { card, eventTimeMs, amountMinor, currency } = transaction
      if (
        decision.card !== card ||
        decision.eventTimeMs !== eventTimeMs ||
        decision.amountMinor !== amountMinor ||
        decision.currency !== currency
      )
        return false
      entry.digest = await this.#options.log.digestAt(entry.partition, entry.offset, deadlineMs)
    }
    // Where the log could not be read in time, the fields of the decision are equal at least.
    return entry.digest === null || entry.digest === digest
  }
}

function isDone({ decision, alert, isRefused, isLost }: Entry): boolean {
  return (decision !== null && alert !== null) || isRefused || isLost
}

function tell(entry: Entry): void {
  for (const waiter of [...(entry.waiters ?? [])]) waiter()
}

function whyNot({ isRefused, offset }: Entry): FallbackReason {
  if (isRefused) return 'dead_letter'
  return offset < 0 ? 'not_written' : 'not_decided'
}

/** The transaction with its attributes in the order of their names, so that equal content is written as equal bytes. */
export function inOrder(transaction: Transaction): Transaction {
  const { attributes } = transaction
  if (attributes === null) return transaction
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { ...transaction, attributes: Object.fromEntries(sorted) }
}

/** Digest of a transaction as it is written. */
export function digestOf(value: Buffer): string {
  return hash('sha256', value, 'base64')
}

function placeOf(partition: number, offset: number): string {
  return `${partition}/${offset}`
}

function alertOf({ action, alertId, lease }: Alert): KeptAlert {
  return action === 'block' || action === 'flag' ? { action, alertId, lease } : NO_ALERT
}

function keptOf(
  decision: DecisionRecord,
  { partition, mode, decidedAtMs }: DecisionBatch,
  versions: Versions,
): KeptDecision {
  const { offset, card, eventTimeMs, amountMinor, currency } = decision
  const { outcome, score, notScored, annotations, reasons, segment, rules } = decision
  return {
    ...{ partition, offset, card, eventTimeMs, amountMinor, currency },
    ...{ outcome, score, notScored, annotations, reasons, segment, rules },
    ...{ mode, versions, decidedAtMs },
  }
}
