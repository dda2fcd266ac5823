// Models in a content store: the manifest under the digest that names the model, and each file that it lists under its
// own. The documentation of a model stays in its folder. Models that are read are cached on the local disk.

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isDigest } from '../../core/control/deployment.ts'
import { isSluiceError } from '../../core/errors.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import { checkManifest, type ModelManifest } from '../../core/scoring/manifest.ts'
import {
  addModel,
  checkModel,
  type CheckedModel,
  findModel,
  modelNotFound,
  type ModelStore,
  type StoredModel,
  storedFolder,
} from '../model-store.ts'
import type { ContentStore } from './content-store.ts'

/** Models in the cache; the one that was used longest ago is removed first. */
const CACHED_MODELS_MAX = 8
/** Models that a listing shows. */
const LISTED_MAX = 1_000

/** Opens the models of a content store, with a folder as their cache. */
export function contentModels(store: ContentStore, cache: string): ModelStore {
  return new ContentModels(store, cache)
}

class ContentModels implements ModelStore {
  readonly #store: ContentStore
  readonly #cache: string

  constructor(store: ContentStore, cache: string) {
    this.#store = store
    this.#cache = cache
  }

  get place(): string {
    return this.#store.place
  }

  async find(digest: string): Promise<CheckedModel> {
    if (!isDigest(digest)) throw modelNotFound(this.place, digest)
    const cached = await this.#cached(digest)
    if (cached !== null) return cached
    const manifest = await this.#manifestOf(digest)
    const folder = join(this.#cache, `.${digest}.${randomUUID()}.tmp`)
    await mkdir(folder, { recursive: true })
    try {
      await writeFile(join(folder, 'manifest.json'), manifest.bytes)
      for (const [name, file] of filesOf(manifest.content)) {
        await writeFile(join(folder, name), await this.#file(name, file.sha256))
      }
      // Checks what was written, and puts it into place completely or not at all.
      const added = await addModel(this.#cache, folder)
      await this.#evict(digest)
      return added
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  has(digest: string): Promise<boolean> {
    return this.#store.has('model-manifest', digest)
  }

  async add(folder: string): Promise<CheckedModel & { readonly isNew: boolean }> {
    const model = await checkModel(folder)
    const isNew = !(await this.has(model.digest))
    for (const [name, { sha256 }] of filesOf(model.manifest)) {
      const stored = await this.#store.put('model-file', await readFile(join(folder, name)))
      if (stored !== sha256) throw corrupt(`${name} has changed while it was being read`)
    }
    // The manifest makes the model visible, so it comes last.
    const bytes = await readFile(join(folder, 'manifest.json'))
    if ((await this.#store.put('model-manifest', bytes)) !== model.digest) {
      throw corrupt(`${folder} has changed while it was being read`)
    }
    return { ...model, isNew }
  }

  async list(): Promise<readonly StoredModel[]> {
    const models: StoredModel[] = []
    const stored = await this.#store.list('model-manifest')
    for (const { digest } of stored.slice(0, LISTED_MAX)) models.push(await this.#listed(digest))
    const nameOf = (model: StoredModel): string => (model.isWhole ? model.manifest.version : '')
    return models.sort(
      (one, other) =>
        nameOf(one).localeCompare(nameOf(other)) || one.digest.localeCompare(other.digest),
    )
  }

  /** Its manifest is read, and its files are looked for: a listing fetches no weights. */
  async #listed(digest: string): Promise<StoredModel> {
    const folder = `${this.place}/${digest}`
    try {
      const { content: manifest } = await this.#manifestOf(digest)
      for (const [name, { sha256 }] of filesOf(manifest)) {
        if (!(await this.#store.has('model-file', sha256))) throw corrupt(`${name} is missing`)
      }
      return { isWhole: true, folder, digest, manifest }
    } catch (error) {
      if (!isSluiceError(error) || error.code === 'SLUICE_STORE_UNAVAILABLE') throw error
      return { isWhole: false, folder, digest, problem: error.message }
    }
  }

  async #manifestOf(
    digest: string,
  ): Promise<{ readonly bytes: Buffer; readonly content: ModelManifest }> {
    const bytes = await this.#get('model-manifest', digest, 'manifest.json')
    if (bytes === null) throw modelNotFound(this.place, digest)
    let value: unknown
    try {
      value = JSON.parse(bytes.toString('utf8'))
    } catch (error) {
      throw corrupt(`the manifest ${digest} is not JSON`, error)
    }
    return { bytes, content: checkManifest(value) }
  }

  async #file(name: string, digest: string): Promise<Buffer> {
    const bytes = await this.#get('model-file', digest, name)
    if (bytes === null) throw corrupt(`${this.place} lacks ${name}, ${digest}`)
    return bytes
  }

  async #get(
    kind: 'model-manifest' | 'model-file',
    digest: string,
    name: string,
  ): Promise<Buffer | null> {
    try {
      return await this.#store.get(kind, digest)
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_STORE_CORRUPT')) throw error
      throw corrupt(`${name}: ${String(error.details['problem'])}`, error)
    }
  }

  /** Null for a model that is not cached, or damaged there. */
  async #cached(digest: string): Promise<CheckedModel | null> {
    try {
      const model = await findModel(this.#cache, digest)
      const now = new Date()
      await utimes(model.folder, now, now).catch(() => undefined)
      return model
    } catch (error) {
      const isDamaged =
        isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND') ||
        isSluiceError(error, 'SLUICE_MODEL_CORRUPT')
      if (isDamaged) return null
      throw error
    }
  }

  async #evict(kept: string): Promise<void> {
    const others: { readonly digest: string; readonly usedMs: number }[] = []
    for (const digest of (await readdir(this.#cache)).filter(isDigest)) {
      const { mtimeMs } = await stat(storedFolder(this.#cache, digest))
      if (digest !== kept) others.push({ digest, usedMs: mtimeMs })
    }
    others.sort((one, other) => other.usedMs - one.usedMs)
    for (const { digest } of others.slice(CACHED_MODELS_MAX - 1)) {
      await rm(storedFolder(this.#cache, digest), { recursive: true, force: true })
    }
  }
}

function filesOf({ files }: ModelManifest) {
  return Object.entries(files).map(([name, file]) => [basename(name), file] as const)
}
