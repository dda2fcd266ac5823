// A policy as it would have acted: its ruling, then breaker, control group and the daily alert limit, as one partition
// with all of the traffic would apply them. Rows must come in event-time order, since breakers count in event time.

import { BlockGuard, type GuardRules } from '../decision/block-guard.ts'
import { actionOf } from '../decision/decide.ts'
import { compilePolicy } from '../policy/compile-policy.ts'
import type { PolicyDocument } from '../policy/policy-document.ts'
import type { PolicyLists } from '../policy/policy-lists.ts'
import type { CompiledPolicy } from '../policy/ruling.ts'
import { type BacktestRow, type RuledOutcome, outcomeOfRuling } from './backtest-row.ts'

/** Breakers and budgets of a policy, and how operators handle them. */
export interface GuardSettings {
  readonly document: Pick<PolicyDocument, 'breakers' | 'controlGroup' | 'alertsPerDayMax'>
  /** Digest of the policy; it seeds the draw of the control group. */
  readonly digest: string
  /** Time that a breaker stays open before an operator resets it. */
  readonly resetAfterMs: number
}

export class GuardedPolicy {
  readonly #compiledFor: CompiledFor
  readonly #settings: GuardSettings | null
  readonly #guard = new BlockGuard(null)
  #rules: GuardRules | null
  #partitionTimeMs = -Infinity
  #resetAtMs = Infinity
  #trips = 0

  /** @param settings null: rulings apply unchanged. */
  constructor(compiledFor: CompiledFor, settings: GuardSettings | null) {
    this.#compiledFor = compiledFor
    this.#settings = settings
    this.#rules =
      settings === null
        ? null
        : {
            ...settings.document,
            breakerResets: 0,
            partition: 0,
            partitionCount: 1,
            policyDigest: settings.digest,
          }
  }

  /** Number of times that breakers tripped. */
  get trips(): number {
    return this.#trips
  }

  decide({ input, lists }: Pick<BacktestRow, 'input' | 'lists'>): RuledOutcome {
    const ruling = this.#compiledFor(lists).rule(input)
    const ruled = outcomeOfRuling(ruling)
    if (this.#settings === null || this.#rules === null) return ruled
    const { id, eventTimeMs } = input.transaction
    this.#partitionTimeMs = Math.max(this.#partitionTimeMs, eventTimeMs)
    if (this.#partitionTimeMs >= this.#resetAtMs) {
      this.#rules = { ...this.#rules, breakerResets: this.#rules.breakerResets + 1 }
      this.#resetAtMs = Infinity
    }
    const { outcome, mark } = this.#guard.applyGuards(
      {
        transactionId: id,
        segment: ruling.segment,
        outcome: ruling.outcome,
        action: actionOf(ruling.outcome, 'enforce'),
        isByRule: ruling.rules.length > 0,
        amountMinor: input.referenceMinor,
        partitionTimeMs: this.#partitionTimeMs,
        hasRoom: true,
        isRevision: false,
      },
      this.#rules,
    )
    const tripped = this.#guard.takeTrips().length
    this.#trips += tripped
    if (tripped > 0) this.#resetAtMs = this.#partitionTimeMs + this.#settings.resetAfterMs
    return mark === null ? ruled : { ...ruled, outcome, annotations: [...ruled.annotations, mark] }
  }
}

// One policy compiled with the lists of different times: lists changed while the rows of a backtest were decided.

/** The policy with these lists. Pure: the same lists give the same policy. */
export type CompiledFor = (lists: PolicyLists) => CompiledPolicy

/** Modes limit what is published; a backtest compares what is decided. */
const NO_MODES = { mode: 'enforce', segmentModes: {} } as const

/** Rows come in time order and lists change one at a time, so few sets of lists are in use at once. */
const CACHED_MAX = 4

/** Compiles once for each set of lists in use. Sets are compared by object identity, not by content. */
export function compiledByLists(document: PolicyDocument): CompiledFor {
  const cached = new Map<PolicyLists, CompiledPolicy>()
  const always = document.lists.length === 0 ? compilePolicy(document, new Map(), NO_MODES) : null
  return (lists) => {
    const known = always ?? cached.get(lists)
    if (known !== undefined) return known
    const compiled = compilePolicy(document, lists, NO_MODES)
    const [oldest] = cached.keys()
    if (cached.size >= CACHED_MAX && oldest !== undefined) cached.delete(oldest)
    cached.set(lists, compiled)
    return compiled
  }
}
