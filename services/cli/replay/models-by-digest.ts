// Models as decision batches name them, opened once each: from folders that a person names, from the configured one, and
// from the store.

import { join } from 'node:path'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { isSluiceError } from '../../core/errors.ts'
import { BACKENDS, type Backend, type ScoringModel } from '../../core/scoring/scoring-model.ts'
import { checkModel, findModel } from '../../platform/model-store.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'

/** Models that are open at a time; a range with more of them opens the oldest again. */
const OPEN_MAX = 4

/** How far a score of another backend may be off: twice what a backend may differ from the trainer. */
export const SCORE_TOLERANCE = 2e-5

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
    if (this.#open.size >= OPEN_MAX) this.#closeOldest()
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

/** The folder that a scorer takes where nothing is configured. */
export function releasedFolder(root: string): string {
  return join(root, 'models/simulator')
}
