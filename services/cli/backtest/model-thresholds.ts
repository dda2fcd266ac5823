// Thresholds of the models that stored scores are from, found by digest.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isSluiceError, SluiceError } from '../../core/errors.ts'
import type { Thresholds } from '../../core/decision/decide.ts'
import { checkModel, findModel } from '../../platform/model-store.ts'

/** Where nobody goes by the model, nobody is told a number. */
const NOT_ASKED: Thresholds = { flag: NaN, block: NaN }

export interface ModelPlaces {
  readonly store: string
  /** Folders that are looked into beside the store. */
  readonly folders: readonly string[]
  /** Names of policies that go by a model's thresholds. */
  readonly askedBy: readonly string[]
}

export class ModelThresholds {
  readonly #places: ModelPlaces
  readonly #known = new Map<string, Thresholds>()
  #folders: Map<string, Thresholds> | null = null

  constructor(places: ModelPlaces) {
    this.#places = places
  }

  /** @throws SluiceError SLUICE_MODEL_NOT_FOUND when a policy goes by a model that is nowhere. */
  async of(digest: string): Promise<Thresholds> {
    const { askedBy } = this.#places
    if (askedBy.length === 0) return NOT_ASKED
    const known = this.#known.get(digest)
    if (known !== undefined) return known
    const found = (await this.#inFolders(digest)) ?? (await this.#inStore(digest))
    if (found === null) {
      throw new SluiceError(
        'SLUICE_MODEL_NOT_FOUND',
        `${askedBy.join(', ')} goes by the thresholds of the model that decided, but ${digest} is neither in the store ` +
          `${this.#places.store} nor in the folders looked at. Give its folder with --model, or write thresholds into the policy.`,
      )
    }
    this.#known.set(digest, found)
    return found
  }

  async #inStore(digest: string): Promise<Thresholds | null> {
    try {
      return (await findModel(this.#places.store, digest)).manifest.thresholds
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND')) return null
      throw error
    }
  }

  async #inFolders(digest: string): Promise<Thresholds | null> {
    if (this.#folders === null) {
      this.#folders = new Map()
      for (const folder of this.#places.folders) {
        if (!existsSync(join(folder, 'manifest.json'))) continue
        const model = await checkModel(folder)
        this.#folders.set(model.digest, model.manifest.thresholds)
      }
    }
    return this.#folders.get(digest) ?? null
  }
}
