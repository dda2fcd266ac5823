// Models and policies as decision batches name them, opened once each.

import { DEFAULT_RATES } from '../../core/currency.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { PolicyInput, Ruling, CompiledPolicy } from '../../core/policy/ruling.ts'
import { type ScoringModel, BACKENDS, type Backend } from '../../core/scoring/scoring-model.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import { findModel, checkModel } from '../../platform/model-store.ts'
import { openRuleset } from '../../platform/policy-store.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import { type PolicySettings, policyOf } from '../../scorer/index.ts'

// Policies as decision batches name them, found once each. A policy is a pure function of a transaction, its row and its
// score.

/** Rulesets that are held at a time; a range with more of them opens the oldest again. */
const POLICIES_OPEN_MAX = 16

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
    if (this.#open.size >= POLICIES_OPEN_MAX) {
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
// Models as decision batches name them, opened once each: from folders that a person names, from the configured one, and
// from the store.
/** Models that are open at a time; a range with more of them opens the oldest again. */
const MODELS_OPEN_MAX = 4

/** How far a score of another backend may be off: twice what a backend may differ from the trainer. */
const SCORE_TOLERANCE = 2e-5

export interface ReplayModel {
  readonly model: ScoringModel
  /** 0 where the same backend gives the same bits. */
  readonly tolerance: number
}

export interface ModelPlaces {
  /** Looked at in this order, before the store. */
  readonly folders: readonly string[]
  readonly store: string
}

export class ModelsByDigest {
  readonly #places: ModelPlaces
  readonly #open = new Map<string, ReplayModel | null>()
  #folders: ReadonlyMap<string, string> | null = null

  constructor(places: ModelPlaces) {
    this.#places = places
  }

  /**
   * The model on the backend that decided, or where that does not work here on the fastest that does; null when no place
   * has it.
   * @throws SluiceError SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE or SLUICE_BACKEND_UNAVAILABLE.
   */
  async find(digest: string, backend: string): Promise<ReplayModel | null> {
    const key = `${digest}/${backend}`
    const known = this.#open.get(key)
    if (known !== undefined) return known
    const folder = await this.#folderOf(digest)
    const found = folder === null ? null : await open(folder, backend)
    if (this.#open.size >= MODELS_OPEN_MAX) this.#closeOldest()
    this.#open.set(key, found)
    return found
  }

  close(): void {
    for (const found of this.#open.values()) found?.model.close()
    this.#open.clear()
  }

  #closeOldest(): void {
    const [oldest] = this.#open
    if (oldest === undefined) return
    oldest[1]?.model.close()
    this.#open.delete(oldest[0])
  }

  async #folderOf(digest: string): Promise<string | null> {
    this.#folders ??= await digestsOf(this.#places.folders)
    const named = this.#folders.get(digest)
    if (named !== undefined) return named
    try {
      return (await findModel(this.#places.store, digest)).folder
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND')) return null
      throw error
    }
  }
}

async function digestsOf(folders: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const folder of folders) found.set((await checkModel(folder)).digest, folder)
  return found
}

async function open(folder: string, backend: string): Promise<ReplayModel> {
  const known = BACKENDS.find((each) => each === backend) ?? null
  const model = known === null ? await openOn(folder, 'auto') : await openOnOrElse(folder, known)
  const isSame = model.info.backend === backend && model.info.hasSameBits
  return { model, tolerance: isSame ? 0 : SCORE_TOLERANCE }
}

async function openOnOrElse(folder: string, backend: Backend): Promise<ScoringModel> {
  try {
    return await openOn(folder, backend)
  } catch (error) {
    if (!isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE')) throw error
    return openOn(folder, 'auto')
  }
}

function openOn(folder: string, backend: Backend | 'auto'): Promise<ScoringModel> {
  return openScoringModel({ folder, backend, ratesDigest: DEFAULT_RATES.digest })
}
