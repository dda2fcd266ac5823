// Guards between a ruling and its publication: breakers, the control group, the capacity of analysts and of leases. One
// guard per partition, called in offset order. Its state is a short text committed with the offsets, so a crash neither
// forgets a block nor counts it twice.

import { hashOf } from '../id-hash.ts'
import type { BreakerLimits, ControlGroup } from '../policy/policy-document.ts'
import type { AlertAction, Outcome } from '../wire/records.ts'
import {
  Breaker,
  type BreakerCap,
  breakerKey,
  BREAKERS_MAX,
  type BreakerStatus,
  shareOfPartition,
  statusOf,
} from './breaker.ts'

/** Annotations that the guard adds to a decision. Closed list. */
export const GUARD_ANNOTATIONS = [
  'breaker_open',
  'control_group',
  'leases_full',
  'over_capacity',
] as const
export type GuardAnnotation = (typeof GUARD_ANNOTATIONS)[number]

const DAY_MS = 86_400_000
const REFERENCES = 2 ** 48
const FORMAT = 'g1'

/** Limits that the guard applies; part of the policy. */
export interface GuardRules {
  readonly breakers: readonly BreakerLimits[]
  /** Number of times that operators have reset the breakers. */
  readonly breakerResets: number
  readonly controlGroup: ControlGroup | null
  /** Flags per day for analysts, over all partitions; null means no limit. */
  readonly alertsPerDayMax: number | null
  readonly partition: number
  readonly partitionCount: number
  /** Digest of the policy. The draw of the control group depends only on it and on the transaction. */
  readonly policyDigest: string
}

/** A ruling, before it is published. */
export interface Ruled {
  readonly transactionId: string
  readonly segment: string | null
  readonly outcome: Outcome
  /** Action that would be published; null for nothing. */
  readonly action: AlertAction | null
  /** True when a rule of the policy matched, so that the score alone did not decide. */
  readonly isByRule: boolean
  /** In the reference currency. */
  readonly amountMinor: number
  /** Newest event time of the partition, this transaction included. */
  readonly partitionTimeMs: number
  /** False when there is no room for another lease. */
  readonly hasRoom: boolean
  /** True for a revision: it counts as no traffic, and is never in the control group. */
  readonly isRevision: boolean
}

/** Ruling of the guard. */
export interface GuardedRuling {
  readonly outcome: Outcome
  readonly mark: GuardAnnotation | null
}

export class BlockGuard {
  #breakers: readonly Breaker[] = []
  #limits: readonly BreakerLimits[] = []
  #day = 0
  #flags = 0
  #controlMinor = 0
  /** Encoded state, by key, of breakers that the policy in force lacks. */
  readonly #restored: Map<string, string>
  /** Trips since the last call of `takeTrips`. */
  #trips: BreakerCap[] = []

  /** @param text the result of `encode`; null or unreadable text starts with an empty state. */
  constructor(text: string | null) {
    const { day, flags, controlMinor, breakers } = readGuard(text)
    this.#day = day
    this.#flags = flags
    this.#controlMinor = controlMinor
    this.#restored = breakers
  }

  /** Applies the guards to one decision. Approvals count as traffic; duplicates must not be passed. */
  applyGuards(ruled: Ruled, rules: GuardRules): GuardedRuling {
    this.#follow(rules)
    this.#moveTo(ruled.partitionTimeMs)
    for (const breaker of this.#breakers) {
      if (!breaker.concerns(ruled.segment)) continue
      breaker.moveTo(ruled.partitionTimeMs)
      if (!ruled.isRevision) breaker.sees(ruled.amountMinor)
    }
    const settled = ruled.action === 'block' ? this.#block(ruled, rules) : null
    if (settled !== null && settled.outcome !== 'flag') return settled
    const isFlag = ruled.action === 'flag' || settled !== null
    return isFlag ? this.#flag(ruled, rules, settled) : { outcome: ruled.outcome, mark: null }
  }

  /** Caps that were exceeded since the last call. */
  takeTrips(): readonly BreakerCap[] {
    const trips = this.#trips
    this.#trips = []
    return trips
  }

  openCount(rules: GuardRules): number {
    this.#follow(rules)
    return this.#breakers.filter((breaker) => breaker.isOpen(rules.breakerResets)).length
  }

  /** Null while the state is empty. At most 4,000 characters. */
  encode(): string | null {
    if (this.#limits.length === 0 && this.#day === 0 && this.#restored.size === 0) return null
    const day = [this.#day, this.#flags, this.#controlMinor]
    const breakers = this.#breakers.map(
      (breaker) => `${breakerKey(breaker.segment)}=${breaker.encode()}`,
    )
    const elsewhere = [...this.#restored].map(([key, state]) => `${key}=${state}`)
    const all = [...breakers, ...elsewhere].slice(0, BREAKERS_MAX)
    return [FORMAT, day.map((value) => value.toString(36)).join('.'), ...all].join(' ')
  }

  #block(ruled: Ruled, rules: GuardRules): GuardedRuling {
    const { breakerResets } = rules
    const concerned = this.#breakers.filter((breaker) => breaker.concerns(ruled.segment))
    let isOpen = concerned.some((breaker) => breaker.isOpen(breakerResets))
    if (!isOpen) {
      for (const breaker of concerned) {
        const cap = breaker.capExceeded(ruled.amountMinor)
        if (cap === null) continue
        breaker.trip(breakerResets)
        this.#trips.push(cap)
        isOpen = true
      }
    }
    if (isOpen) return { outcome: 'flag', mark: 'breaker_open' }
    if (this.#isControl(ruled, rules)) return { outcome: 'approve', mark: 'control_group' }
    if (!ruled.hasRoom) return { outcome: 'flag', mark: 'leases_full' }
    for (const breaker of concerned) breaker.blocks(ruled.amountMinor)
    return { outcome: 'block', mark: null }
  }

  /** True for the few payments that are let through; their money is counted. */
  #isControl({ transactionId, amountMinor, isRevision }: Ruled, rules: GuardRules): boolean {
    const { controlGroup, policyDigest, partition, partitionCount } = rules
    if (controlGroup === null || isRevision) return false
    if (amountMinor > controlGroup.amountMaxMinor) return false
    const drawn = hashOf(`${policyDigest}/${transactionId}`) / REFERENCES
    if (drawn >= controlGroup.share) return false
    const sumMax = shareOfPartition(controlGroup.dayMaxMinor, partition, partitionCount)
    if (this.#controlMinor + amountMinor > sumMax) return false
    this.#controlMinor += amountMinor
    return true
  }

  #flag(ruled: Ruled, rules: GuardRules, settled: GuardedRuling | null): GuardedRuling {
    const { alertsPerDayMax, partition, partitionCount } = rules
    const budget =
      alertsPerDayMax === null
        ? Infinity
        : shareOfPartition(alertsPerDayMax, partition, partitionCount)
    const mayGo = settled === null && ruled.outcome === 'flag' && !ruled.isByRule
    if (mayGo && this.#flags + 1 > budget) return { outcome: 'approve', mark: 'over_capacity' }
    this.#flags += 1
    return settled ?? { outcome: ruled.outcome, mark: null }
  }

  #moveTo(partitionTimeMs: number): void {
    const day = Math.floor(partitionTimeMs / DAY_MS)
    if (day <= this.#day) return
    this.#day = day
    this.#flags = 0
    this.#controlMinor = 0
  }

  /** Another policy has other breakers; those of the same part of the traffic keep their state. */
  #follow({ breakers, partition, partitionCount }: GuardRules): void {
    if (breakers === this.#limits) return
    for (const breaker of this.#breakers) {
      this.#restored.set(breakerKey(breaker.segment), breaker.encode())
    }
    this.#limits = breakers
    this.#breakers = breakers.slice(0, BREAKERS_MAX).map((limits) => {
      const key = breakerKey(limits.segment)
      const breaker = new Breaker(limits, partition, partitionCount)
      breaker.restore(this.#restored.get(key) ?? '')
      this.#restored.delete(key)
      return breaker
    })
    // A tripped breaker that the policy in force lacks stays tripped: an operator closes it, not another policy.
    for (const [key, state] of this.#restored) {
      const isTripped = statusOf(key, state).trippedAt !== null
      if (!isTripped || this.#restored.size > BREAKERS_MAX) this.#restored.delete(key)
    }
  }
}

/** Breakers of a partition from its committed state. */
export function breakersIn(text: string | null): readonly BreakerStatus[] {
  return [...readGuard(text).breakers].map(([part, state]) => statusOf(part, state))
}

function readGuard(text: string | null) {
  const breakers = new Map<string, string>()
  const [format, day = '', ...entries] = (text ?? '').split(' ')
  if (format !== FORMAT) return { day: 0, flags: 0, controlMinor: 0, breakers }
  const [number, flags, control] = day.split('.').map((part) => parseInt(part, 36))
  for (const entry of entries.slice(0, BREAKERS_MAX)) {
    const end = entry.indexOf('=')
    breakers.set(entry.slice(0, end), entry.slice(end + 1))
  }
  return { day: finite(number), flags: finite(flags), controlMinor: finite(control), breakers }
}

function finite(value: number | undefined): number {
  return value !== undefined && Number.isSafeInteger(value) ? value : 0
}

// Block state of a partition, committed with the offset of labels. The offset of transactions carries the position and
// the hash chain.

/** Leases are not part of it: they have a topic of their own. */
export interface BlockState {
  /** Delay between the newest event and the sending of its message. */
  readonly skewMs: number
  /** State of the guard; null for none. */
  readonly guard: string | null
}

const NOTHING: BlockState = { skewMs: 0, guard: null }

export function encodeBlockState({ skewMs, guard }: BlockState): string {
  return JSON.stringify([skewMs, guard])
}

/** A foreign text gives an empty state. */
export function decodeBlockState(text: string | null): BlockState {
  try {
    const value: unknown = JSON.parse(text ?? '')
    if (!Array.isArray(value)) return NOTHING
    const [skewMs, guard] = value as unknown[]
    return {
      skewMs: typeof skewMs === 'number' ? skewMs : 0,
      guard: typeof guard === 'string' ? guard : null,
    }
  } catch {
    return NOTHING
  }
}
