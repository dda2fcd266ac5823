// The blocks that an enforcer keeps: per card those whose time is not over, made from alerts in the order in which
// they come, and the answer that each alert gets.
//
// A block is a lease: it has an end and ends by itself, so an enforcer that hears nothing more lets go in time. A
// revision replaces what its alert said before; an older one says nothing any more. The last revision of an alert is
// remembered until none of its leases can run any more, so that a copy of a block that comes late (a resent one) does
// not block again what was taken back.

import type { Alert, ReceiptStatus } from './wire/records.ts'

/** Why an alert was refused or came too late. Closed list; the receipt's reason. */
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
  /** False once a later revision has let go. */
  readonly isHeld: boolean
  /** Until when some revision of the alert may have a lease that runs. */
  readonly knownUntilMs: number
}

export interface ActiveBlocksOptions {
  /** Alerts that are kept at most. A block for which there is no room is refused, which its receipt says. */
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

  /** Alerts that are kept, those included that were taken back. */
  get size(): number {
    return this.#byAlert.size
  }

  /** Puts an alert in force. Null for one that is neither block nor release nor takes a block back: it needs no answer. */
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
        // A block that became a flag lets the card go. A first flag, as most are, has nothing to take back.
        if (known === undefined && alert.revision === 0) return null
        return known === undefined ? this.#remember(alert, nowMs) : this.#letGo(alert, known, nowMs)
      case 'unknown':
        return null
    }
  }

  /** The block of this card that lasts longest; null when it has none now. */
  blockOf(card: string, nowMs: number): ActiveBlock | null {
    let longest: Kept | null = null
    for (const block of this.#byCard.get(card)?.values() ?? []) {
      if (!isLive(block, nowMs)) continue
      if (longest === null || isAfter(block, longest)) longest = block
    }
    return longest
  }

  /** Blocks in force now, those that end last first, at most `limit`. */
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

  /** Blocks in force now. */
  countLive(nowMs: number): number {
    let count = 0
    for (const block of this.#byAlert.values()) if (isLive(block, nowMs)) count += 1
    return count
  }

  /** Forgets what is over. */
  sweep(nowMs: number): void {
    for (const block of this.#byAlert.values()) if (block.knownUntilMs <= nowMs) this.#forget(block)
  }

  #block(alert: Alert, known: Kept | undefined, nowMs: number): Enforced {
    const { lease, alertId, revision, card } = alert
    if (lease === null) return { status: 'refused', reason: 'no_lease' }
    if (lease.endMs <= nowMs) {
      // An earlier end that has passed takes back what was held.
      if (known !== undefined || revision > 0) this.#remember(alert, nowMs)
      return { status: 'too_late', reason: 'lease_over' }
    }
    if (this.#options.isNeverBlocked(card))
      return { status: 'refused', reason: 'card_never_blocked' }
    if (known === undefined && !this.#hasRoom(nowMs))
      return { status: 'refused', reason: 'no_room' }
    const { startMs, endMs } = lease
    // An earlier revision that is still to come may have had a later end.
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

  /** Keeps the revision without its block. */
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
