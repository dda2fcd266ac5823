// Finds the models and policies that decision batches name, and opens each once.

import { isSluiceError } from '../../core/errors.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { PolicyInput, Ruling, CompiledPolicy } from '../../core/policy/ruling.ts'
import { type ScoringModel, BACKENDS, type Backend } from '../../core/scoring/scoring-model.ts'
import { OUTCOMES } from '../../core/wire/records.ts'
import { checkModel } from '../../platform/model-store.ts'
import { openRuleset } from '../../platform/policy-store.ts'
import type { ContentStore } from '../../platform/stores/content-store.ts'
import type { Stores } from '../../platform/stores/stores.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import { type PolicySettings, policyOf } from '../../scorer/index.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

// Policies named by decision batches, found once each. A policy is a pure function of a transaction, its row and its
// score.

/** Most rulesets in memory; beyond that the oldest is dropped, and loaded again when needed. */
const POLICIES_OPEN_MAX = 16

/** Rules on a row with this score (NaN means not scored), without these of the policy's lists and rules. */
export type Rule = (
  input: Omit<PolicyInput, 'modelThresholds'>,
  without?: ReadonlySet<string>,
) => Ruling

type NamedBy = Pick<RecordedBatch, 'mode' | 'policyDigest'>

export class PoliciesByDigest {
  readonly #settings: PolicySettings
  readonly #store: ContentStore
  readonly #open = new Map<string, LoadedRuleset | null>()

  /** `settings` must equal the scorer's: the digest of the built-in policy covers them. */
  constructor(settings: PolicySettings, store: ContentStore) {
    this.#settings = settings
    this.#store = store
  }

  /**
   * The rule of a decision batch: a ruleset of the store, or the built-in policy with the operators' settings, whose
   * outcome for unscored rows is found by trying digests. Null when no policy has the digest. @throws SluiceError
   * SLUICE_POLICY_CORRUPT
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
  // Copied field by field: an input may have more fields than a policy may see.
  return ({ transaction, row, states, score, referenceMinor, annotations }, without) =>
    policy.rule(
      { transaction, row, states, score, referenceMinor, modelThresholds, annotations },
      without,
    )
}
// Models named by decision batches, opened once each: from the given folders, from the configured one, and from the
// store.
/** Most models open at a time; beyond that the oldest is closed, and opened again when needed. */
const MODELS_OPEN_MAX = 4

/**
 * Largest accepted score difference of another backend: twice the difference that a backend may have from the trainer.
 */
const SCORE_TOLERANCE = 2e-5

export interface ReplayModel {
  readonly model: ScoringModel
  /** 0 when the same backend gives the same bits. */
  readonly tolerance: number
}

export interface ModelPlaces {
  /** Searched in this order, before the store. */
  readonly folders: readonly string[]
  readonly stores: Stores
}

export class ModelsByDigest {
  readonly #places: ModelPlaces
  readonly #open = new Map<string, ReplayModel | null>()
  #folders: ReadonlyMap<string, string> | null = null

  constructor(places: ModelPlaces) {
    this.#places = places
  }

  /**
   * The model on the backend that decided, or on the fastest working one if that backend does not work here; null when
   * the model is not found. @throws SluiceError SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE or
   * SLUICE_BACKEND_UNAVAILABLE.
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
      return (await this.#places.stores.models.find(digest)).folder
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
  return openScoringModel({ folder, backend, referenceCurrency: configuredRates().reference })
}
