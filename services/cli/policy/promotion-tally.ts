// Counts decisions of one policy in one mode, block by block, and keeps none of them.

import type { Outcome, DecisionBatch, DecisionRecord, Mode } from '../../core/wire/records.ts'
import { modeOfSegment, type Ruleset } from '../../core/policy/ruleset.ts'
import { findRuleset } from '../../platform/policy-store.ts'

const DAY_MS = 86_400_000

/** What the next mode would publish. */
export function isAlertedFor(to: Mode, outcome: Outcome): boolean {
  return to === 'enforce' ? outcome === 'block' : outcome !== 'approve'
}

/** Whether a step of this segment (null: of all that have no mode of their own) changes what is done with traffic of `own`. */
export function isPromoted(
  { segmentModes }: Pick<Ruleset, 'segmentModes'>,
  segment: string | null,
  own: string | null,
): boolean {
  if (segment !== null) return own === segment
  return own === null || !Object.hasOwn(segmentModes, own)
}

export interface TallySource {
  readonly store: string
  readonly inForce: Ruleset
  readonly segment: string | null
  readonly to: Mode
}

/** A decision that is old enough to be judged. */
export type OnMature = (decision: DecisionRecord, partition: number, isFraud: boolean) => void

/** Counts decisions of the policy in force, made in the mode that its segment has now. */
export class DecisionTally {
  readonly #source: TallySource
  readonly #matureEndMs: number
  readonly #onMature: OnMature
  readonly #rulesets = new Map<string, boolean>()
  decisions = 0
  /** Of the newest block that counts. */
  modelDigest: string | null = null
  #firstMs = Infinity
  #lastMs = -Infinity
  #otherMs = -Infinity
  #mature = 0
  #alerts = 0
  #frauds = 0

  constructor(source: TallySource, matureEndMs: number, onMature: OnMature) {
    this.#source = source
    this.#matureEndMs = matureEndMs
    this.#onMature = onMature
  }

  async count(block: DecisionBatch, frauds: ReadonlySet<string>): Promise<void> {
    const { inForce, segment, to } = this.#source
    const { decidedAtMs, partition } = block
    if (!(await this.#isOfPolicy(block.policyDigest))) {
      this.#otherMs = Math.max(this.#otherMs, decidedAtMs)
      return
    }
    this.#firstMs = Math.min(this.#firstMs, decidedAtMs)
    if (decidedAtMs >= this.#lastMs) this.modelDigest = block.modelDigest
    this.#lastMs = Math.max(this.#lastMs, decidedAtMs)
    for (const decision of block.decisions) {
      if (decision.revision !== 0 || decision.duplicateOfOffset !== null) continue
      if (!isPromoted(inForce, segment, decision.segment)) continue
      this.decisions += 1
      if (decision.eventTimeMs > this.#matureEndMs) continue
      const isFraud = frauds.has(decision.transactionId)
      this.#mature += 1
      this.#onMature(decision, partition, isFraud)
      if (!isAlertedFor(to, decision.outcome)) continue
      this.#alerts += 1
      if (isFraud) this.#frauds += 1
    }
  }

  /** Since the last decision of another policy or mode; partitions may overlap for a moment. Null for none. */
  get days(): number | null {
    if (this.decisions === 0) return null
    return Math.max(0, this.#lastMs - Math.max(this.#firstMs, this.#otherMs)) / DAY_MS
  }

  /** Null when no decision is old enough. */
  get precision(): { readonly alerts: number; readonly frauds: number } | null {
    return this.#mature === 0 ? null : { alerts: this.#alerts, frauds: this.#frauds }
  }

  async #isOfPolicy(digest: string): Promise<boolean> {
    const known = this.#rulesets.get(digest)
    if (known !== undefined) return known
    const { store, inForce, segment } = this.#source
    const ruleset = await findRuleset(store, digest).catch(() => null)
    const isOf =
      ruleset !== null &&
      ruleset.policy === inForce.policy &&
      modeOfSegment(ruleset, segment) === modeOfSegment(inForce, segment)
    this.#rulesets.set(digest, isOf)
    return isOf
  }
}
