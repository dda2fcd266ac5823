// The blocks of one partition: leases, and the counts of its breaker and budgets. Decisions pass through in offset
// order before they become alerts. A partition starts from the last commit, so a failed batch leaves no trace.

import {
  BlockGuard,
  decodeBlockState,
  encodeBlockState,
  type GuardedRuling,
  type GuardRules,
} from '../../core/decision/block-guard.ts'
import { actionOf } from '../../core/decision/decide.ts'
import {
  dueCauseOf,
  type CardLease,
  higherGrade,
  labelCauseOf,
  type LeaseChange,
  LeaseTable,
  type ReleaseCause,
} from '../../core/decision/leases.ts'
import type { Ruling } from '../../core/policy/ruling.ts'
import type { Label } from '../../core/transaction.ts'
import type { Alert, AlertCause, AlertLease } from '../../core/wire/records.ts'
import type { BlocksReport } from '../../platform/metrics/deployment-metrics.ts'

/** The state from which a partition begins. */
export interface KeptBlocks {
  readonly leases: Iterable<CardLease>
  /** `BlocksOutput.kept` of the last commit; null for none. */
  readonly kept: string | null
  readonly newestEventMs: number
  readonly leasesMax: number
}

/** Output for the next Kafka transaction. */
export interface BlocksOutput {
  /** Alerts in publishing order: those of decisions, and revisions caused by leases. */
  readonly published: readonly Alert[]
  /** By card, its new lease; null when it has none any more. */
  readonly leases: ReadonlyMap<string, CardLease | null>
  /** Metadata committed with the offsets. */
  readonly kept: string | null
  readonly counts: BlocksReport
}

/** A ruling before the guards. */
export interface Unsettled {
  readonly transactionId: string
  readonly card: string
  readonly amountMinor: number
  readonly ruling: Pick<Ruling, 'outcome' | 'mode' | 'segment' | 'rules'>
  readonly isRevision: boolean
}

export class PartitionBlocks {
  readonly #table: LeaseTable
  readonly #guard: BlockGuard
  #partitionTimeMs: number
  /**
   * Delay between the newest event and the sending of its message: the offset from the partition's time to the clock.
   */
  #skewMs: number
  #published: Alert[] = []
  #changed = new Map<string, CardLease | null>()
  #extended = 0
  #released = new Map<AlertCause, number>()

  constructor({ leases, kept, newestEventMs, leasesMax }: KeptBlocks) {
    const { skewMs, guard } = decodeBlockState(kept)
    this.#table = new LeaseTable(leases, leasesMax)
    this.#guard = new BlockGuard(guard)
    this.#partitionTimeMs = newestEventMs
    this.#skewMs = skewMs
  }

  get liveCount(): number {
    return this.#table.size
  }

  /** Advances event time, which ends leases. Must be called for each transaction, before its ruling. */
  advance(eventTimeMs: number, timestampMs: number, decidedAtMs: number): void {
    if (eventTimeMs > this.#partitionTimeMs) {
      this.#partitionTimeMs = eventTimeMs
      this.#skewMs = Math.max(0, timestampMs - eventTimeMs)
    }
    this.#endDue(this.#partitionTimeMs, decidedAtMs)
  }

  /**
   * Applies a label. Fraud on any payment of a blocked card supports the block and extends it to `leaseMs` after the
   * label was known. Only the blocked payment's own label confirms the block (fraud) or releases it (genuine).
   */
  label(
    { card, transactionId, verdict, knownAtMs }: Label,
    leaseMs: number,
    decidedAtMs: number,
  ): void {
    const lease = this.#table.of(card)
    if (lease === null) return
    const isItsOwn = lease.alert.transactionId === transactionId
    if (verdict === 'fraud') {
      // Counts from the time when the label was known, not from when it is read: repeating a label extends nothing.
      const fromMs = Math.min(knownAtMs, this.#nowInPartitionMs(decidedAtMs))
      const grade = isItsOwn ? 'confirmed' : 'corroborated'
      this.#apply(this.#table.extend(lease, { endMs: fromMs + leaseMs, grade }, decidedAtMs))
    } else if (!isItsOwn) {
      return
    } else if (knownAtMs > this.#partitionTimeMs) {
      this.#apply(this.#table.endAt(lease, knownAtMs))
    } else {
      this.#release(lease, labelCauseOf(lease.grade), decidedAtMs)
    }
  }

  /** Applies breaker, control group and budgets. */
  applyGuards(
    { transactionId, card, amountMinor, ruling, isRevision }: Unsettled,
    rules: GuardRules,
  ): GuardedRuling {
    const { outcome, mode, segment } = ruling
    const hasRoom = this.#table.hasRoom || this.#table.of(card) !== null
    const partitionTimeMs = this.#partitionTimeMs
    return this.#guard.applyGuards(
      {
        ...{ transactionId, segment, outcome, amountMinor, partitionTimeMs, hasRoom, isRevision },
        action: actionOf(outcome, mode),
        isByRule: ruling.rules.length > 0,
      },
      rules,
    )
  }

  /** Accepts the alert of a decision. Returns it as it is published. */
  publish(alert: Alert, decidedAtMs: number): Alert {
    const { lease } = alert
    if (alert.action !== 'block' || lease === null) return this.#push(alert)
    const live = this.#table.of(alert.card)
    if (live !== null) {
      const evidence = { endMs: lease.endMs, grade: higherGrade('corroborated', lease.grade) }
      const carried: AlertLease = {
        grade: higherGrade(evidence.grade, live.grade),
        startMs: lease.startMs,
        endMs: Math.max(live.endMs, lease.endMs),
      }
      const own = this.#push({ ...alert, lease: carried })
      this.#apply(this.#table.extend(live, evidence, decidedAtMs))
      return own
    }
    const own = this.#push(alert)
    // The lease of a late transaction may be over before it begins; its alert shows that.
    if (lease.endMs > this.#partitionTimeMs) this.#apply(this.#table.open(alert, lease))
    return own
  }

  /** Accepts a revision caused by a late transaction. Returns it as it is published. */
  revise(alert: Alert, decidedAtMs: number): Alert {
    const live = this.#table.of(alert.card)
    if (live?.alertId !== alert.alertId) return this.publish(alert, decidedAtMs)
    const revised = { ...alert, supersedes: live.revision }
    this.#apply(this.#table.drop(live))
    if (revised.action === 'block') return this.publish(revised, decidedAtMs)
    this.#countRelease('late_transaction')
    return this.#push(revised)
  }

  /** An operator releases a card. Does nothing when the lease is another one, or gone. */
  releaseByPerson(card: string, alertId: string, decidedAtMs: number): void {
    const lease = this.#table.of(card)
    if (lease?.alertId === alertId) this.#release(lease, 'person', decidedAtMs)
  }

  /** Cards with a live lease, each with its alert. */
  get leased(): Iterable<Pick<CardLease, 'card' | 'alertId'>> {
    return this.#table.leases
  }

  /** Ends leases that are over by the clock in a partition that has received nothing for `graceMs`. */
  endByClock(nowMs: number, graceMs: number): void {
    const timeMs = this.#clockInPartitionMs(nowMs) - graceMs
    if (this.#table.isAnyDue(timeMs)) this.#endDue(timeMs, nowMs)
  }

  get hasOutput(): boolean {
    return this.#published.length > 0 || this.#changed.size > 0
  }

  /** Returns the output collected since the last call. */
  take(rules: GuardRules): BlocksOutput {
    const output: BlocksOutput = {
      published: this.#published,
      leases: this.#changed,
      kept: this.#kept(),
      counts: {
        live: this.#table.size,
        extended: this.#extended,
        released: this.#released,
        trips: this.#guard.takeTrips(),
        openBreakers: this.#guard.openCount(rules),
      },
    }
    this.#published = []
    this.#changed = new Map()
    this.#extended = 0
    this.#released = new Map()
    return output
  }

  /** The clock in the partition's event time: a replay of old payments keeps its own time. */
  #clockInPartitionMs(nowMs: number): number {
    return nowMs - this.#skewMs
  }

  /**
   * The newest event of a quiet partition may be hours old, so the clock counts too; the result is never below event
   * time.
   */
  #nowInPartitionMs(nowMs: number): number {
    return Math.max(this.#partitionTimeMs, this.#clockInPartitionMs(nowMs))
  }

  #endDue(timeMs: number, decidedAtMs: number): void {
    for (const lease of this.#table.due(timeMs)) {
      this.#release(lease, dueCauseOf(lease), decidedAtMs)
    }
  }

  #release(lease: CardLease, cause: ReleaseCause, decidedAtMs: number): void {
    this.#apply(this.#table.release(lease, cause, decidedAtMs))
    this.#countRelease(cause)
  }

  #apply(change: LeaseChange | null): void {
    if (change === null) return
    this.#changed.set(change.card, change.lease)
    if (change.alert === null) return
    if (change.alert.cause === 'extended') this.#extended += 1
    this.#push(change.alert)
  }

  #push(alert: Alert): Alert {
    this.#published.push(alert)
    return alert
  }

  #countRelease(cause: AlertCause): void {
    this.#released.set(cause, (this.#released.get(cause) ?? 0) + 1)
  }

  #kept(): string | null {
    const guard = this.#guard.encode()
    if (guard === null && this.#table.size === 0) return null
    return encodeBlockState({ skewMs: this.#skewMs, guard })
  }
}

/** A partition without any blocks. */
export function noBlocks(): PartitionBlocks {
  return new PartitionBlocks({ leases: [], kept: null, newestEventMs: -1, leasesMax: Infinity })
}

/** Annotations of a decision, with those of its guarded ruling. */
export function withAnnotation(
  annotations: readonly string[],
  mark: string | null,
): readonly string[] {
  return mark === null ? annotations : [...annotations, mark]
}
