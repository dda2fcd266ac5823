// Joins blocks with the receipts of subscribers: measures the time until a block was applied, and finds blocks without
// a receipt.
//
// Alerts and receipts arrive on different topics, so a receipt may be read before its alert: it is held for as long as
// a block may wait. Each (alert, revision, subscriber) counts once, however often its receipt was written. Memory is
// bounded: entries older than the horizon are dropped, and beyond the limit the oldest.
//
// After a stop the join is rebuilt by reading again. `isAnswered` marks records that were counted before the stop, and
// `judgedToMs` is the time up to which waiting blocks were judged: neither is counted twice.

import type { Alert, Receipt } from './wire/records.ts'

/** Reasons for which a receipt does not count. Closed list: metric label, and the reason in its dead letter. */
export const RECEIPT_FAULTS = [
  'unreadable',
  'wrong_key',
  'unknown_alert',
  'unknown_subscriber',
  'from_the_future',
  'before_its_alert',
  'forged',
] as const
export type ReceiptFault = (typeof RECEIPT_FAULTS)[number]

/** Result of a block for the objective. `unanswered`: no receipt arrived in the allowed time. */
export const BLOCK_RESULTS = ['in_time', 'late', 'refused', 'too_late', 'unanswered'] as const
export type BlockResult = (typeof BLOCK_RESULTS)[number]

export interface ReceiptJoinOptions {
  /** Time that a block may be without a receipt, ms; the same time between two resends. */
  readonly waitMs: number
  /** Time that an alert is remembered, ms. */
  readonly horizonMs: number
  /** From the record of the transaction to the receipt, ms. */
  readonly objectiveMs: number
  /** Number of times that an unanswered block is sent again; 0 means never. */
  readonly resendsMax: number
  /** Subscribers that must answer; null accepts one receipt of any subscriber. */
  readonly subscribers: ReadonlySet<string> | null
  /** Largest difference between the clocks of two machines, ms. */
  readonly clockSkewMsMax: number
  /** Most alerts in memory. */
  readonly entriesMax: number
  /** Most receipts held without an alert. */
  readonly heldMax: number
}

/** A receipt with its position in the topic. */
export interface PlacedReceipt {
  readonly receipt: Receipt
  readonly key: string | null
  readonly partition: number
  readonly offset: number
  /** Time stamp of its record. */
  readonly timestampMs: number
  /** The bytes, for a dead letter. */
  readonly value: Buffer
  /** True when it was read before the last stop. */
  readonly isAnswered: boolean
  /** False when signatures are required and its subscriber did not sign it. */
  readonly isGenuine: boolean
}

/** Event to count or to report. */
export type JoinEvent =
  | {
      readonly kind: 'receipt'
      readonly receipt: Receipt
      readonly action: 'block' | 'release' | 'flag'
      /** From the record of the transaction, and from the decision, to the receipt; null unless a block was applied. */
      readonly sinceRecordMs: number | null
      readonly sinceDecisionMs: number | null
    }
  | { readonly kind: 'repeated' }
  | { readonly kind: 'fault'; readonly fault: ReceiptFault; readonly placed: PlacedReceipt }
  | { readonly kind: 'result'; readonly result: BlockResult }
  | { readonly kind: 'resend'; readonly alert: Alert; readonly attempt: number }
  | { readonly kind: 'lapse'; readonly alert: Alert }
  | { readonly kind: 'forgotten' }

interface Entry {
  readonly alert: Alert
  readonly isAnswered: boolean
  readonly answeredBy: Set<string>
  /** True when the objective has its result. */
  isJudged: boolean
  /** True when all subscribers have answered, or nothing more is done about it. */
  isClosed: boolean
  resends: number
  lastSentMs: number
}

/** The join of one stream. */
export class ReceiptJoin {
  readonly #options: ReceiptJoinOptions
  /** In order of arrival, oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #held = new Map<string, PlacedReceipt[]>()
  #heldCount = 0
  #judgedToMs: number

  constructor(options: ReceiptJoinOptions, judgedToMs: number) {
    this.#options = options
    this.#judgedToMs = judgedToMs
  }

  /** Alerts in memory. */
  get size(): number {
    return this.#entries.size
  }

  /** Receipts whose alert has not arrived. */
  get heldCount(): number {
    return this.#heldCount
  }

  /** Time up to which waiting blocks have been judged; must be kept over a stop. */
  get judgedToMs(): number {
    return this.#judgedToMs
  }

  /** Blocks that wait for a receipt, and those among them that are overdue. */
  waiting(nowMs: number): { readonly all: number; readonly overdue: number } {
    let all = 0
    let overdue = 0
    for (const entry of this.#entries.values()) {
      if (!isExpected(entry.alert) || this.#isComplete(entry)) continue
      const { lease, decidedAtMs } = entry.alert
      if (lease !== null && lease.endMs <= nowMs) continue
      all += 1
      if (decidedAtMs + this.#options.waitMs <= nowMs) overdue += 1
    }
    return { all, overdue }
  }

  /** Adds an alert, and joins the receipts that waited for it. */
  takeAlert(alert: Alert, isAnswered: boolean): readonly JoinEvent[] {
    if (alert.action === 'unknown') return []
    const id = idOf(alert)
    if (this.#entries.has(id)) return []
    const entry: Entry = {
      alert,
      isAnswered,
      answeredBy: new Set(),
      isJudged: alert.action !== 'block' || this.#wasJudged(alert, isAnswered),
      isClosed: !isExpected(alert),
      resends: 0,
      lastSentMs: alert.decidedAtMs,
    }
    this.#entries.set(id, entry)
    const events: JoinEvent[] = []
    for (const placed of this.#held.get(id) ?? []) {
      this.#heldCount -= 1
      events.push(...this.#join(entry, placed))
    }
    this.#held.delete(id)
    events.push(...this.#makeRoom())
    return events
  }

  /** Records that an alert was sent again. */
  takeResent(alert: Alert, sentAtMs: number): void {
    const entry = this.#entries.get(idOf(alert))
    if (entry === undefined || sentAtMs <= entry.lastSentMs) return
    entry.resends += 1
    entry.lastSentMs = sentAtMs
  }

  /** Adds a receipt. */
  takeReceipt(placed: PlacedReceipt, nowMs: number): readonly JoinEvent[] {
    const fault = this.#faultOf(placed, nowMs)
    if (fault !== null) return placed.isAnswered ? [] : [{ kind: 'fault', fault, placed }]
    const { receipt } = placed
    const entry = this.#entries.get(idOf(receipt))
    if (entry !== undefined) return this.#join(entry, placed)
    if (this.#heldCount >= this.#options.heldMax)
      return placed.isAnswered ? [] : [{ kind: 'fault', fault: 'unknown_alert', placed }]
    const waiting = this.#held.get(idOf(receipt)) ?? []
    waiting.push(placed)
    this.#held.set(idOf(receipt), waiting)
    this.#heldCount += 1
    return []
  }

  /** Judges blocks that are overdue. Call it only once both topics have been read up to now. */
  tick(nowMs: number): readonly JoinEvent[] {
    const events: JoinEvent[] = []
    for (const [id, entry] of this.#entries) {
      const { decidedAtMs } = entry.alert
      if (decidedAtMs + this.#options.horizonMs <= nowMs) {
        this.#entries.delete(id)
        continue
      }
      if (!entry.isClosed) events.push(...this.#overdue(entry, nowMs))
    }
    events.push(...this.#giveUpHeld(nowMs))
    this.#judgedToMs = Math.max(this.#judgedToMs, nowMs)
    return events
  }

  #overdue(entry: Entry, nowMs: number): readonly JoinEvent[] {
    const { waitMs, resendsMax } = this.#options
    const { alert } = entry
    if (this.#isComplete(entry)) {
      entry.isClosed = true
      return []
    }
    if (entry.lastSentMs + waitMs > nowMs) return []
    const events: JoinEvent[] = []
    if (!entry.isJudged) {
      entry.isJudged = true
      events.push({ kind: 'result', result: 'unanswered' })
    }
    // A release has no lease, and stays relevant while it is remembered.
    const isWorthIt = alert.lease === null || alert.lease.endMs > nowMs
    if (entry.resends < resendsMax && isWorthIt) {
      entry.resends += 1
      entry.lastSentMs = nowMs
      events.push({ kind: 'resend', alert, attempt: entry.resends })
      return events
    }
    entry.isClosed = true
    // A block that became overdue before the stop is not reported again.
    if (!(entry.isAnswered && entry.lastSentMs + waitMs <= this.#judgedToMs))
      events.push({ kind: 'lapse', alert })
    return events
  }

  #giveUpHeld(nowMs: number): readonly JoinEvent[] {
    const events: JoinEvent[] = []
    for (const [id, waiting] of this.#held) {
      const left = waiting.filter((placed) => {
        const endMs = placed.timestampMs + this.#options.waitMs
        if (endMs > nowMs) return true
        this.#heldCount -= 1
        const wasGivenUp = placed.isAnswered && endMs <= this.#judgedToMs
        if (!wasGivenUp) events.push({ kind: 'fault', fault: 'unknown_alert', placed })
        return false
      })
      if (left.length === 0) this.#held.delete(id)
      else this.#held.set(id, left)
    }
    return events
  }

  #join(entry: Entry, placed: PlacedReceipt): readonly JoinEvent[] {
    const { receipt } = placed
    const { alert } = entry
    const wasCounted = entry.isAnswered && placed.isAnswered
    if (receipt.atMs < alert.decidedAtMs - this.#options.clockSkewMsMax)
      return wasCounted ? [] : [{ kind: 'fault', fault: 'before_its_alert', placed }]
    if (entry.answeredBy.has(receipt.subscriber)) return wasCounted ? [] : [{ kind: 'repeated' }]
    entry.answeredBy.add(receipt.subscriber)
    const result = this.#resultOf(entry, receipt)
    const isJudgedNow = result !== null && !entry.isJudged
    if (isJudgedNow) entry.isJudged = true
    if (wasCounted) return []
    const isApplied = alert.action === 'block' && receipt.status === 'applied'
    const events: JoinEvent[] = [
      {
        kind: 'receipt',
        receipt,
        action: alert.action === 'unknown' ? 'flag' : alert.action,
        sinceRecordMs: isApplied ? Math.max(0, receipt.atMs - alert.source.timestampMs) : null,
        sinceDecisionMs: isApplied ? Math.max(0, receipt.atMs - alert.decidedAtMs) : null,
      },
    ]
    if (isJudgedNow) events.push({ kind: 'result', result })
    return events
  }

  /**
   * Null until all required subscribers have answered. The last answer decides, except that one refusal refuses the
   * block.
   */
  #resultOf(entry: Entry, receipt: Receipt): BlockResult | null {
    if (receipt.status === 'refused') return 'refused'
    if (!this.#isComplete(entry)) return null
    if (receipt.status === 'too_late') return 'too_late'
    const tookMs = receipt.atMs - entry.alert.source.timestampMs
    return tookMs <= this.#options.objectiveMs ? 'in_time' : 'late'
  }

  #isComplete({ answeredBy }: Entry): boolean {
    const { subscribers } = this.#options
    if (subscribers === null) return answeredBy.size > 0
    for (const name of subscribers) if (!answeredBy.has(name)) return false
    return true
  }

  #wasJudged({ decidedAtMs }: Alert, isAnswered: boolean): boolean {
    return isAnswered && decidedAtMs + this.#options.waitMs <= this.#judgedToMs
  }

  #faultOf({ receipt, key, isGenuine }: PlacedReceipt, nowMs: number): ReceiptFault | null {
    const { subscribers, clockSkewMsMax } = this.#options
    // A status of a later version cannot be counted as any of these.
    if (receipt.status === 'unknown') return 'unreadable'
    if (key !== receipt.alertId) return 'wrong_key'
    if (subscribers !== null && !subscribers.has(receipt.subscriber)) return 'unknown_subscriber'
    if (!isGenuine) return 'forged'
    return receipt.atMs > nowMs + clockSkewMsMax ? 'from_the_future' : null
  }

  #makeRoom(): readonly JoinEvent[] {
    if (this.#entries.size <= this.#options.entriesMax) return []
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
    return [{ kind: 'forgotten' }]
  }
}

/** False for flags, which need no receipt. */
function isExpected({ action }: Alert): boolean {
  return action === 'block' || action === 'release'
}

function idOf({
  alertId,
  revision,
}: {
  readonly alertId: string
  readonly revision: number
}): string {
  return `${alertId}.${revision}`
}
