// Leases of one partition: the blocked cards, their alerts, and the ends of the blocks. Each change of a lease is a
// revision of its alert and a new record of the card in the lease topic (or a tombstone), written in the transaction of
// the batch. The topic is therefore the table, and the next owner of the partition reads it.

import type { Codecs } from '../wire/codecs.ts'
import {
  type Alert,
  type AlertCause,
  type AlertLease,
  type Grade,
  GRADES,
  type Lease,
} from '../wire/records.ts'

/**
 * Revision numbers of an alert increase, but not always by one: the revision of its decision times this step, plus the
 * number of changes of its lease. The two counts never collide.
 */
export const REVISION_STEP = 1_000

/** Revision of an alert that belongs to a revision of its decision. */
export function alertRevisionOf(decisionRevision: number): number {
  return decisionRevision * REVISION_STEP
}

/** A lease with the last revision of its alert. */
export interface CardLease extends Omit<Lease, 'alert'> {
  readonly alert: Alert
}

/** Change of a lease, as the topics record it. */
export interface LeaseChange {
  readonly card: string
  /** The card's new lease; null ends it. */
  readonly lease: CardLease | null
  /** The alert to publish; null when there is none, or when the caller publishes it. */
  readonly alert: Alert | null
}

/** Causes for which a lease ends. */
export type ReleaseCause = Extract<
  AlertCause,
  'expired' | 'person' | 'genuine_label' | 'correction'
>

export class LeaseTable {
  readonly #byCard = new Map<string, CardLease>()
  readonly #sizeMax: number
  /** No lease is due before this. */
  #nextDueMs = Infinity

  /** Starts from the leases of the topic. Accepts more than `sizeMax` of them: a smaller limit forgets no block. */
  constructor(leases: Iterable<CardLease>, sizeMax: number) {
    this.#sizeMax = sizeMax
    for (const lease of leases) this.#hold(lease)
  }

  get size(): number {
    return this.#byCard.size
  }

  get hasRoom(): boolean {
    return this.#byCard.size < this.#sizeMax
  }

  get leases(): Iterable<CardLease> {
    return this.#byCard.values()
  }

  of(card: string): CardLease | null {
    return this.#byCard.get(card) ?? null
  }

  /** True when some lease may be due. */
  isAnyDue(timeMs: number): boolean {
    return timeMs >= this.#nextDueMs
  }

  /** Leases that are over at this time, earliest end first. */
  due(timeMs: number): readonly CardLease[] {
    if (!this.isAnyDue(timeMs)) return []
    const due: CardLease[] = []
    this.#nextDueMs = Infinity
    for (const lease of this.#byCard.values()) {
      const dueMs = dueMsOf(lease)
      if (dueMs <= timeMs) due.push(lease)
      this.#nextDueMs = Math.min(this.#nextDueMs, dueMs)
    }
    return due.sort((a, b) => dueMsOf(a) - dueMsOf(b) || (a.card < b.card ? -1 : 1))
  }

  /** Opens a lease for a block that is about to be published. The card must not have one. */
  open(alert: Alert, lease: AlertLease): LeaseChange {
    const held: CardLease = {
      card: alert.card,
      alertId: alert.alertId,
      revision: alert.revision,
      ...lease,
      reason: alert.reasons[0]?.text ?? alert.rules[0]?.text ?? 'model score',
      releaseAtMs: null,
      alert,
    }
    this.#hold(held)
    return { card: held.card, lease: held, alert: null }
  }

  /** Applies new evidence: a later end, a higher grade, or both; null when nothing changes. */
  extend(
    lease: CardLease,
    { endMs, grade }: Pick<AlertLease, 'endMs' | 'grade'>,
    decidedAtMs: number,
  ): LeaseChange | null {
    const later = Math.max(lease.endMs, endMs)
    const higher = higherGrade(lease.grade, grade)
    // A fraud label overrides an earlier genuine one.
    const takesBack = lease.releaseAtMs !== null && grade === 'confirmed'
    const changes = later !== lease.endMs || higher !== lease.grade
    if (!changes && !takesBack) return null
    const { startMs, revision } = lease
    const releaseAtMs = takesBack ? null : lease.releaseAtMs
    const grown = { ...lease, endMs: later, grade: higher, releaseAtMs }
    // A revision number is reserved for the end of the lease.
    if (!changes || revision % REVISION_STEP >= REVISION_STEP - 2) {
      this.#hold(grown)
      return { card: lease.card, lease: grown, alert: null }
    }
    const carried: AlertLease = { grade: higher, startMs, endMs: later }
    const alert = nextRevision(lease, 'block', carried, 'extended', decidedAtMs)
    const held: CardLease = { ...grown, revision: revision + 1, alert }
    this.#hold(held)
    return { card: lease.card, lease: held, alert }
  }

  /** Sets the lease to end at this event time, when a genuine label starts to count. */
  endAt(lease: CardLease, releaseAtMs: number): LeaseChange {
    const held: CardLease = { ...lease, releaseAtMs }
    this.#hold(held)
    return { card: lease.card, lease: held, alert: null }
  }

  /** Ends a lease with a release alert. */
  release(lease: CardLease, cause: ReleaseCause, decidedAtMs: number): LeaseChange {
    this.#byCard.delete(lease.card)
    const alert = nextRevision(lease, 'release', null, cause, decidedAtMs)
    return { card: lease.card, lease: null, alert }
  }

  /** Ends a lease whose alert gets another revision that does not block. */
  drop(lease: CardLease): LeaseChange {
    this.#byCard.delete(lease.card)
    return { card: lease.card, lease: null, alert: null }
  }

  #hold(lease: CardLease): void {
    this.#byCard.set(lease.card, lease)
    this.#nextDueMs = Math.min(this.#nextDueMs, dueMsOf(lease))
  }
}

/** The cause for which a due lease ends. */
export function dueCauseOf({ grade, endMs, releaseAtMs }: CardLease): ReleaseCause {
  if (releaseAtMs === null || endMs < releaseAtMs) return 'expired'
  return labelCauseOf(grade)
}

/** The cause for which a genuine label ends a lease: it corrects a fraud label, or there was none. */
export function labelCauseOf(grade: Grade): ReleaseCause {
  return grade === 'confirmed' ? 'correction' : 'genuine_label'
}

/** The higher of two grades. */
export function higherGrade(a: Grade, b: Grade): Grade {
  return GRADES.indexOf(a) >= GRADES.indexOf(b) ? a : b
}

function dueMsOf({ endMs, releaseAtMs }: CardLease): number {
  return Math.min(endMs, releaseAtMs ?? Infinity)
}

function nextRevision(
  { alert, revision }: CardLease,
  action: 'block' | 'release',
  lease: AlertLease | null,
  cause: AlertCause,
  decidedAtMs: number,
): Alert {
  return {
    ...alert,
    revision: revision + 1,
    supersedes: revision,
    action,
    lease,
    cause,
    decidedAtMs,
  }
}

/** Reads leases in log order; the last message of each card counts. */
export class LeaseReader {
  readonly #codecs: Pick<Codecs, 'alert' | 'lease'>
  readonly #byCard = new Map<string, CardLease>()
  #unreadable = 0

  constructor(codecs: Pick<Codecs, 'alert' | 'lease'>) {
    this.#codecs = codecs
  }

  accept(key: Buffer | null, value: Buffer | null): void {
    const card = key?.toString() ?? ''
    this.#byCard.delete(card)
    if (value === null) return
    const lease = this.#codecs.lease.decode(value)
    const alert = lease.ok ? this.#codecs.alert.decode(lease.value.alert) : lease
    if (lease.ok && alert.ok) this.#byCard.set(card, { ...lease.value, card, alert: alert.value })
    else this.#unreadable += 1
  }

  get live(): readonly CardLease[] {
    return [...this.#byCard.values()]
  }

  /**
   * Unreadable records, or records with an unreadable alert: their blocks end at the time in their alerts, without a
   * release.
   */
  get unreadable(): number {
    return this.#unreadable
  }
}
