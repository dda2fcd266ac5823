// A policy as it would have acted: its ruling, and then breaker, control group and the limit of alerts a day, as one lane
// with all of the traffic would have them. Whoever asks goes by event time, since breakers count in it.

import { BlockGuard, type GuardRules } from '../decision/block-guard.ts'
import { actionOf } from '../decision/decide.ts'
import type { PolicyDocument } from '../policy/policy-document.ts'
import type { CompiledFor } from './compiled-by-lists.ts'
import { saidOfRuling, type RehearsedRow, type Said } from './rehearsed-row.ts'

/** Breakers and budgets of a policy, and how people look after them. */
export interface GuardSettings {
  readonly document: Pick<PolicyDocument, 'breakers' | 'controlGroup' | 'alertsPerDayMax'>
  /** Names the policy: who is in the control group is drawn by it. */
  readonly digest: string
  /** After which time of being open somebody resets a breaker. */
  readonly resetAfterMs: number
}

export class GuardedPolicy {
  readonly #compiledFor: CompiledFor
  readonly #settings: GuardSettings | null
  readonly #guard = new BlockGuard(null)
  #rules: GuardRules | null
  #laneTimeMs = -Infinity
  #resetAtMs = Infinity
  #trips = 0

  /** @param settings null: what is ruled stands. */
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

  /** How often breakers have tripped. */
  get trips(): number {
    return this.#trips
  }

  say({ input, lists }: Pick<RehearsedRow, 'input' | 'lists'>): Said {
    const ruling = this.#compiledFor(lists).rule(input)
    const said = saidOfRuling(ruling)
    if (this.#settings === null || this.#rules === null) return said
    const { id, eventTimeMs } = input.transaction
    this.#laneTimeMs = Math.max(this.#laneTimeMs, eventTimeMs)
    if (this.#laneTimeMs >= this.#resetAtMs) {
      this.#rules = { ...this.#rules, breakerResets: this.#rules.breakerResets + 1 }
      this.#resetAtMs = Infinity
    }
    const { outcome, mark } = this.#guard.settle(
      {
        transactionId: id,
        segment: ruling.segment,
        outcome: ruling.outcome,
        action: actionOf(ruling.outcome, 'enforce'),
        isByRule: ruling.rules.length > 0,
        amountMinor: input.referenceMinor,
        laneTimeMs: this.#laneTimeMs,
        hasRoom: true,
        isRevision: false,
      },
      this.#rules,
    )
    const tripped = this.#guard.takeTrips().length
    this.#trips += tripped
    if (tripped > 0) this.#resetAtMs = this.#laneTimeMs + this.#settings.resetAfterMs
    return mark === null ? said : { ...said, outcome, marks: [...said.marks, mark] }
  }
}
