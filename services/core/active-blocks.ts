// The active blocks of an enforcer, by card, built from alerts in order, and the answer to each alert. A block is a
// lease: it has an end and ends by itself, so an enforcer that receives nothing more releases in time. A revision
// replaces the alert's earlier content; an older revision has no effect. The last revision of an alert is remembered
// until none of its leases can be active any more, so that a late copy of a block (a resent one) does not block again
// after a release.

import type { Alert, ReceiptStatus } from './wire/records.ts'

/** Reasons for which an alert was refused or came too late. Closed list; the receipt's reason. */
export const NOT_APPLIED = [
  'lease_over',
  'superseded',
  'card_never_blocked',
  'no_lease',
  'no_room',
] as const
export type NotApplied = (typeof NOT_APPLIED)[number]

/** Answer of an enforcer to a block or a release. */
export interface Enforced {
  readonly status: Exclude<ReceiptStatus, 'unknown'>
  /** Null when it was applied. */
  readonly reason: NotApplied | null
}

/** One alert's block on one card. */
export interface ActiveBlock {
  readonly alertId: string
  readonly revision: number
  readonly card: string
  readonly startMs: number
  /** The first millisecond at which the block is over. */
  readonly endMs: number
}

interface Kept extends ActiveBlock {
  /** False once a later revision has released the card. */
  readonly isHeld: boolean
  /** End of the time in which some revision of the alert may have an active lease. */
  readonly knownUntilMs: number
}

export interface ActiveBlocksOptions {
  /** Most alerts in memory. A block for which there is no room is refused, and its receipt says so. */
  readonly blocksMax: number
  /** No lease ends later than this after the event time, nor after the decision that extended it, ms. */
  readonly leaseMsMax: number
  readonly isNeverBlocked: (card: string) => boolean
}

const APPLIED: Enforced = { status: 'applied', reason: null }

/** Active blocks by card, bounded. */
export class ActiveBlocks {
  readonly #options: ActiveBlocksOptions
  readonly #byAlert = new Map<string, Kept>()
  readonly #byCard = new Map<string, Map<string, Kept>>()

  constructor(options: ActiveBlocksOptions) {
    this.#options = options
  }

  /** Alerts in memory, including released ones. */
  get size(): number {
    return this.#byAlert.size
  }

  /** Applies an alert. Null for one that neither blocks nor releases: it needs no answer. */
  apply(alert: Alert, nowMs: number): Enforced | null {
    const known = this.#byAlert.get(alert.alertId)
    if (known !== undefined && alert.revision < known.revision)
      return alert.action === 'flag' ? null : { status: 'too_late', reason: 'superseded' }
    switch (alert.action) {
      case 'block':
        return this.#block(alert, known, nowMs)
      case 'release':
        return this.#letGo(alert, known, nowMs)
      case 'flag':
        // A block that became a flag releases the card. A first flag, as most are, has nothing to release.
        if (known === undefined && alert.revision === 0) return null
        return known === undefined ? this.#remember(alert, nowMs) : this.#letGo(alert, known, nowMs)
      case 'unknown':
        return null
    }
  }

  /** The block of this card with the latest end; null when there is none now. */
  blockOf(card: string, nowMs: number): ActiveBlock | null {
    let longest: Kept | null = null
    for (const block of this.#byCard.get(card)?.values() ?? []) {
      if (!isLive(block, nowMs)) continue
      if (longest === null || isAfter(block, longest)) longest = block
    }
    return longest
  }

  /** Blocks active now, latest end first, at most `limit`. */
  list(nowMs: number, limit: number): readonly ActiveBlock[] {
    return [...this.#byAlert.values()]
      .filter((block) => isLive(block, nowMs))
      .sort((a, b) => (isAfter(a, b) ? -1 : 1))
      .slice(0, limit)
      .map(({ alertId, revision, card, startMs, endMs }) => ({
        alertId,
        revision,
        card,
        startMs,
        endMs,
      }))
  }

  /** Number of blocks active now. */
  countLive(nowMs: number): number {
    let count = 0
    for (const block of this.#byAlert.values()) if (isLive(block, nowMs)) count += 1
    return count
  }

  /** Removes alerts whose leases are over. */
  sweep(nowMs: number): void {
    for (const block of this.#byAlert.values()) if (block.knownUntilMs <= nowMs) this.#forget(block)
  }

  #block(alert: Alert, known: Kept | undefined, nowMs: number): Enforced {
    const { lease, alertId, revision, card } = alert
    if (lease === null) return { status: 'refused', reason: 'no_lease' }
    if (lease.endMs <= nowMs) {
      // A revision to an end in the past releases the earlier block.
      if (known !== undefined || revision > 0) this.#remember(alert, nowMs)
      return { status: 'too_late', reason: 'lease_over' }
    }
    if (this.#options.isNeverBlocked(card))
      return { status: 'refused', reason: 'card_never_blocked' }
    if (known === undefined && !this.#hasRoom(nowMs))
      return { status: 'refused', reason: 'no_room' }
    const { startMs, endMs } = lease
    // An earlier revision that is still to arrive may have a later end.
    const othersUntilMs = revision > 0 ? this.#leasesUntilMs(alert) : endMs
    const knownUntilMs = Math.max(known?.knownUntilMs ?? endMs, endMs, othersUntilMs)
    this.#keep({ alertId, revision, card, startMs, endMs, isHeld: true, knownUntilMs })
    return APPLIED
  }

  #letGo(alert: Alert, known: Kept | undefined, nowMs: number): Enforced {
    const isOver = known?.isHeld === true && known.endMs <= nowMs
    this.#remember(alert, nowMs)
    return isOver ? { status: 'too_late', reason: 'lease_over' } : APPLIED
  }

  /** Remembers the revision without its block. */
  #remember(alert: Alert, nowMs: number): null {
    const { alertId, revision, card } = alert
    const known = this.#byAlert.get(alertId)
    const leasesUntilMs = this.#leasesUntilMs(alert)
    const knownUntilMs = Math.max(known?.knownUntilMs ?? leasesUntilMs, leasesUntilMs)
    if (known === undefined && (knownUntilMs <= nowMs || !this.#hasRoom(nowMs))) return null
    this.#keep({ alertId, revision, card, startMs: 0, endMs: 0, isHeld: false, knownUntilMs })
    return null
  }

  #leasesUntilMs({ eventTimeMs, decidedAtMs }: Alert): number {
    return Math.max(eventTimeMs, decidedAtMs) + this.#options.leaseMsMax
  }

  #hasRoom(nowMs: number): boolean {
    if (this.#byAlert.size < this.#options.blocksMax) return true
    this.sweep(nowMs)
    return this.#byAlert.size < this.#options.blocksMax
  }

  #keep(block: Kept): void {
    const before = this.#byAlert.get(block.alertId)
    if (before !== undefined) this.#forget(before)
    this.#byAlert.set(block.alertId, block)
    const ofCard = this.#byCard.get(block.card) ?? new Map<string, Kept>()
    ofCard.set(block.alertId, block)
    this.#byCard.set(block.card, ofCard)
  }

  #forget(block: Kept): void {
    this.#byAlert.delete(block.alertId)
    const ofCard = this.#byCard.get(block.card)
    ofCard?.delete(block.alertId)
    if (ofCard?.size === 0) this.#byCard.delete(block.card)
  }
}

function isLive(block: Kept, nowMs: number): boolean {
  return block.isHeld && nowMs < block.endMs
}

function isAfter(a: ActiveBlock, b: ActiveBlock): boolean {
  return a.endMs === b.endMs ? a.alertId > b.alertId : a.endMs > b.endMs
}
