// What one partition remembers of its blocks: leases, and what its breaker and budgets have counted. Decisions pass through
// here in the order of offsets on their way to becoming alerts. Everything is as of the last commit when a partition starts,
// so a failed batch leaves nothing behind.

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

/** What a partition begins with. */
export interface KeptBlocks {
  readonly leases: Iterable<CardLease>
  /** What `BlocksOutput.kept` was at the last commit; null for nothing. */
  readonly kept: string | null
  readonly newestEventMs: number
  readonly leasesMax: number
}

/** What goes into the next Kafka transaction. */
export interface BlocksOutput {
  /** Alerts in the order in which they are to be read: those of decisions, and revisions that leases have made. */
  readonly published: readonly Alert[]
  /** By card, its lease from now on; null for none. */
  readonly leases: ReadonlyMap<string, CardLease | null>
  /** To be committed beside the offsets. */
  readonly kept: string | null
  readonly counts: BlocksReport
}

/** What is to be settled. */
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
  /** How much later than the newest event its message was sent: what is then, the partition's time being now. */
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

  /** Event time goes on: leases end by it. To be called for each transaction, before its ruling. */
  advance(eventTimeMs: number, timestampMs: number, decidedAtMs: number): void {
    if (eventTimeMs > this.#partitionTimeMs) {
      this.#partitionTimeMs = eventTimeMs
      this.#skewMs = Math.max(0, timestampMs - eventTimeMs)
    }
    this.#endDue(this.#partitionTimeMs, decidedAtMs)
  }

  /**
   * A label that has come. Fraud on any payment of a blocked card is evidence that the block is right, and holds it for
   * `leaseMs` from when it was known; only on the payment that was blocked does it confirm, and only there does a
   * genuine one release.
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
      // By when it was known, and not when it is read: who says it again extends nothing.
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

  /** Breaker, control group and budgets have their say. */
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

  /** Takes the alert of a decision; returns it as it is published. */
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
    // A late transaction's lease may be over before it begins; its alert says so itself.
    if (lease.endMs > this.#partitionTimeMs) this.#apply(this.#table.open(alert, lease))
    return own
  }

  /** Takes a revision that a late transaction has made; returns it as it is published. */
  revise(alert: Alert, decidedAtMs: number): Alert {
    const live = this.#table.of(alert.card)
    if (live?.alertId !== alert.alertId) return this.publish(alert, decidedAtMs)
    const revised = { ...alert, supersedes: live.revision }
    this.#apply(this.#table.drop(live))
    if (revised.action === 'block') return this.publish(revised, decidedAtMs)
    this.#countRelease('late_transaction')
    return this.#push(revised)
  }

  /** A person lets go of a card. Does nothing when the lease is another, or gone. */
  releaseByPerson(card: string, alertId: string, decidedAtMs: number): void {
    const lease = this.#table.of(card)
    if (lease?.alertId === alertId) this.#release(lease, 'person', decidedAtMs)
  }

  /** Cards with a live lease, and its alert. */
  get leased(): Iterable<Pick<CardLease, 'card' | 'alertId'>> {
    return this.#table.leases
  }

  /** Ends what is over by the clock, of a partition to which nothing has come for `graceMs`. */
  endByClock(nowMs: number, graceMs: number): void {
    const timeMs = this.#clockInPartitionMs(nowMs) - graceMs
    if (this.#table.isAnyDue(timeMs)) this.#endDue(timeMs, nowMs)
  }

  get hasOutput(): boolean {
    return this.#published.length > 0 || this.#changed.size > 0
  }

  /** Hands out what has come together since the last call. */
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

  /** What the clock says in the time of the partition's events: a replay of old payments keeps its own time. */
  #clockInPartitionMs(nowMs: number): number {
    return nowMs - this.#skewMs
  }

  /** A quiet partition's newest event may be hours old; nothing that is known has been known for less than no time. */
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

/** Blocks of a partition that remembers nothing. */
export function noBlocks(): PartitionBlocks {
  return new PartitionBlocks({ leases: [], kept: null, newestEventMs: -1, leasesMax: Infinity })
}

/** Marks of a decision, with what was settled. */
export function withAnnotation(
  annotations: readonly string[],
  mark: string | null,
): readonly string[] {
  return mark === null ? annotations : [...annotations, mark]
}
