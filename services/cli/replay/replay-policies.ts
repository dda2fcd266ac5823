// Policies as decision batches name them, found once each. What a policy says of a transaction, its row and its score is a
// pure function.

import { isSluiceError } from '../../core/errors.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { CompiledPolicy, PolicyInput, Ruling } from '../../core/policy/ruling.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import { openRuleset } from '../../platform/policy-store.ts'
import { policyOf, type PolicySettings } from '../../scorer/index.ts'

/** Rulesets that are held at a time; a range with more of them opens the oldest again. */
const OPEN_MAX = 16

/** What the policy says of a row with this score (NaN is not scored), without these of its lists and rules. */
export type Rule = (
  input: Omit<PolicyInput, 'modelThresholds'>,
  without?: ReadonlySet<string>,
) => Ruling

type NamedBy = Pick<RecordedBatch, 'mode' | 'policyDigest'>

export class PoliciesByDigest {
  readonly #settings: PolicySettings
  readonly #store: string
  readonly #open = new Map<string, LoadedRuleset | null>()

  /** `settings` as the scorer had them: the digest of the built-in policy names them. */
  constructor(settings: PolicySettings, store: string) {
    this.#settings = settings
    this.#store = store
  }

  /**
   * The rule of a block: the built-in policy with what operators configured, whose outcome without a score is found by
   * the digest, or a ruleset of the store. Null when no such policy has the digest.
   * @throws SluiceError SLUICE_POLICY_CORRUPT
   */
  async find(block: NamedBy, model: Pick<ScoringModel, 'info'>): Promise<Rule | null> {
    return this.#builtIn(block, model) ?? (await this.#published(block, model))
  }

  #builtIn({ mode, policyDigest }: NamedBy, model: Pick<ScoringModel, 'info'>): Rule | null {
    for (const unscoredOutcome of OUTCOMES) {
      const configured = { ...this.#settings, mode, unscoredOutcome }
      const { digest, thresholds, policy } = policyOf(configured, null, model)
      if (digest === policyDigest) return ruleOf(policy, thresholds)
    }
    return null
  }

  async #published(
    { mode, policyDigest }: NamedBy,
    model: Pick<ScoringModel, 'info'>,
  ): Promise<Rule | null> {
    const ruleset = await this.#rulesetOf(policyDigest)
    if (ruleset === null) return null
    const configured = { ...this.#settings, mode, unscoredOutcome: 'flag' } as const
    const { thresholds, policy } = policyOf(configured, ruleset, model)
    return ruleOf(policy, thresholds)
  }

  async #rulesetOf(digest: string): Promise<LoadedRuleset | null> {
    const known = this.#open.get(digest)
    if (known !== undefined) return known
    const found = await openRuleset(this.#store, digest).catch((error: unknown) => {
      if (isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')) return null
      throw error
    })
    if (this.#open.size >= OPEN_MAX) {
      for (const oldest of this.#open.keys()) {
        this.#open.delete(oldest)
        break
      }
    }
    this.#open.set(digest, found)
    return found
  }
}

function ruleOf(policy: CompiledPolicy, modelThresholds: PolicyInput['modelThresholds']): Rule {
  // Copied field by field: an input may have more than a policy is to see.
  return ({ transaction, row, states, score, referenceMinor, annotations }, without) =>
    policy.rule(
      { transaction, row, states, score, referenceMinor, modelThresholds, annotations },
      without,
    )
}
