// Policies as decision blocks name them, opened once each. What a policy says of a row and a score is a pure function.

import { isSluiceError } from '../../core/errors.ts'
import type { RecordedBlock } from '../../core/features/replay-records.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import { POLICY_MARKS, type Ruling } from '../../core/policy/ruling.ts'
import { GUARD_MARKS } from '../../core/decision/block-guard.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import { openRuleset } from '../../platform/policy-store.ts'
import { policyOf, rulingOf } from '../../scorer/index.ts'
import type { RowToScore } from './replayed-decision.ts'
import type { Transaction } from '../../core/transaction.ts'

/** Rulesets that are open at a time. */
const OPEN_MAX = 16

/** What was put on a decision after the policy had been asked. */
const LATER_MARKS: readonly string[] = [...POLICY_MARKS, ...GUARD_MARKS]

/** What the policy says of a row; a score of NaN is not scored. */
export type Rule = (of: RuledRow, score: number) => Ruling

export interface RuledRow {
  readonly transaction: Transaction
  readonly scored: Pick<RowToScore, 'row' | 'states' | 'amountMinor'>
  /** Of the decision; what the policy or a guard put there is left out. */
  readonly marks: readonly string[]
}

export class PoliciesByDigest {
  readonly #store: string
  readonly #leaseMs: number
  readonly #open = new Map<string, LoadedRuleset | null>()

  /** @param leaseMs as the scorer had it: part of the built-in policy's digest. */
  constructor(store: string, leaseMs: number) {
    this.#store = store
    this.#leaseMs = leaseMs
  }

  /**
   * The rule of a block's policy. Version 0 is the built-in one, whose digest names what operators configured: the
   * outcome without a score is found by it. Null when no policy of that digest is known.
   * @throws SluiceError SLUICE_POLICY_CORRUPT
   */
  async find(
    block: Pick<RecordedBlock, 'mode' | 'policyDigest' | 'policyVersion'>,
    model: Pick<ScoringModel, 'info'>,
  ): Promise<Rule | null> {
    const { mode, policyDigest, policyVersion } = block
    const leaseMs = this.#leaseMs
    const ruleset = policyVersion === 0 ? null : await this.#ruleset(policyDigest)
    if (policyVersion > 0 && ruleset === null) return null
    for (const unscoredOutcome of OUTCOMES) {
      const settings = { mode, leaseMs, unscoredOutcome, breakers: [] }
      const { digest, thresholds, policy } = policyOf(settings, ruleset, model)
      if (digest !== policyDigest) continue
      return ({ transaction, scored, marks }, score) => {
        const asked = marks.filter((mark) => !LATER_MARKS.includes(mark))
        const { amountMinor } = scored
        return rulingOf({ transaction, amountMinor }, scored, score, asked, { policy, thresholds })
      }
    }
    return null
  }

  async #ruleset(digest: string): Promise<LoadedRuleset | null> {
    const known = this.#open.get(digest)
    if (known !== undefined) return known
    let found: LoadedRuleset | null = null
    try {
      found = await openRuleset(this.#store, digest)
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')) throw error
    }
    if (this.#open.size >= OPEN_MAX) this.#open.clear()
    this.#open.set(digest, found)
    return found
  }
}
