// Store of models by content: `<store>/<digest>/`. The digest is that of the manifest, which holds the digests of all
// other files. Entries never change, so that any decision can be recomputed.

import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDigest } from '../core/control/deployment.ts'
import { isSluiceError, SluiceError } from '../core/errors.ts'
import { corrupt } from '../core/scoring/field-reader.ts'
import { readModelFolder, type ModelFolder } from './tensorflow/model-folder.ts'

const FILES_MAX = 1_000
const FOLDER_BYTES_MAX = 1024 * 1024 * 1024
const DEPTH_MAX = 8

/** A complete model that was read. */
export interface CheckedModel {
  readonly folder: string
  readonly digest: string
  readonly manifest: ModelFolder['manifest']
}

/** A folder of the store: a complete model, or the error. */
export type StoredModel =
  | ({ readonly isWhole: true } & CheckedModel)
  | {
      readonly isWhole: false
      readonly folder: string
      readonly digest: string
      readonly problem: string
    }

/** Keeps complete models under their digest. */
export interface ModelStore {
  /** Names the store in messages. */
  readonly place: string
  /** Finds a model and checks it. @throws SluiceError SLUICE_MODEL_NOT_FOUND, or as `checkModel` */
  find(digest: string): Promise<CheckedModel>
  /** Whether the store has a model of this digest; its files are not read. */
  has(digest: string): Promise<boolean>
  /** Stores a model folder, completely or not at all. @throws SluiceError as `checkModel` */
  add(folder: string): Promise<CheckedModel & { readonly isNew: boolean }>
  /** All models, by version. */
  list(): Promise<readonly StoredModel[]>
}

/** The store of one machine, or of a shared folder. */
export function folderModels(store: string): ModelStore {
  return {
    place: store,
    find: (digest) => findModel(store, digest),
    has: (digest) => Promise.resolve(existsSync(storedFolder(store, digest))),
    add: (folder) => addModel(store, folder),
    list: () => listModels(store),
  }
}

/** The default store. */
export function defaultStore(root: string): string {
  return join(root, '.sluice', 'models')
}

/** Folder of this model in the store, whether or not it exists. */
export function storedFolder(store: string, digest: string): string {
  return join(store, digest)
}

/**
 * Reads a model folder and checks all of its files. @throws SluiceError SLUICE_MODEL_CORRUPT or
 * SLUICE_MODEL_INCOMPATIBLE.
 */
export async function checkModel(folder: string): Promise<CheckedModel> {
  const { digest, manifest } = await readModelFolder(folder, null)
  return { folder, digest, manifest }
}

/**
 * Finds a model in the store by its digest and checks it. @throws SluiceError SLUICE_MODEL_NOT_FOUND, or as
 * `checkModel`, also when the folder holds another model.
 */
export async function findModel(store: string, digest: string): Promise<CheckedModel> {
  const folder = storedFolder(store, digest)
  if (!isDigest(digest) || !existsSync(folder)) throw modelNotFound(store, digest)
  const model = await checkModel(folder)
  if (model.digest !== digest) {
    throw corrupt(`${folder} holds a manifest whose digest is ${model.digest}`)
  }
  return model
}

/**
 * Copies a model folder into the store, completely or not at all. An intact copy that exists is left alone. @throws
 * SluiceError as `checkModel`, or SLUICE_USAGE for a folder that is too large.
 */
export async function addModel(
  store: string,
  folder: string,
): Promise<CheckedModel & { readonly isNew: boolean }> {
  const source = await checkModel(folder)
  const target = storedFolder(store, source.digest)
  try {
    return { ...(await findModel(store, source.digest)), isNew: false }
  } catch (error) {
    if (!isSluiceError(error)) throw error
  }
  const copy = join(store, `.${source.digest}.${randomUUID()}.tmp`)
  await mkdir(copy, { recursive: true })
  try {
    await copyTree(folder, copy)
    // Checks the copy rather than the source, which may have changed during the copy.
    const copied = await checkModel(copy)
    if (copied.digest !== source.digest)
      throw corrupt(`${folder} has changed while it was being read`)
    // A folder of this name must be damaged, since findModel did not accept it.
    await rm(target, { recursive: true, force: true })
    await rename(copy, target)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
  return { ...source, folder: target, isNew: true }
}

/** All models of the store, by version; empty when the store does not exist. */
export async function listModels(store: string): Promise<readonly StoredModel[]> {
  const names = existsSync(store) ? (await readdir(store)).filter(isDigest) : []
  const models: StoredModel[] = []
  for (const digest of names) {
    try {
      models.push({ isWhole: true, ...(await findModel(store, digest)) })
    } catch (error) {
      if (!isSluiceError(error)) throw error
      const folder = storedFolder(store, digest)
      models.push({ isWhole: false, folder, digest, problem: error.message })
    }
  }
  const nameOf = (model: StoredModel): string => (model.isWhole ? model.manifest.version : '')
  return models.sort(
    (one, other) =>
      nameOf(one).localeCompare(nameOf(other)) || one.digest.localeCompare(other.digest),
  )
}

async function copyTree(from: string, to: string): Promise<void> {
  const spent = { files: 0, bytes: 0 }
  const walk = async (path: string, depth: number): Promise<void> => {
    for (const name of await readdir(join(from, path))) {
      const inner = join(path, name)
      const entry = await lstat(join(from, inner))
      if (entry.isDirectory()) {
        if (depth >= DEPTH_MAX) throw tooLarge(from)
        await mkdir(join(to, inner))
        await walk(inner, depth + 1)
        continue
      }
      // A link could point anywhere, and would not be content.
      if (!entry.isFile()) continue
      spent.files += 1
      spent.bytes += entry.size
      if (spent.files > FILES_MAX || spent.bytes > FOLDER_BYTES_MAX) throw tooLarge(from)
      await copyFile(join(from, inner), join(to, inner))
    }
  }
  await walk('', 0)
}

/** The error for a model that a store lacks. */
export function modelNotFound(store: string, digest: string): SluiceError {
  return new SluiceError(
    'SLUICE_MODEL_NOT_FOUND',
    `The model store ${store} has no model ${digest}. Add its folder with "sluice model add <folder>", or correct ` +
      'SLUICE_MODEL_STORE; "sluice model list" shows what is there.',
    { details: { store, digest } },
  )
}

function tooLarge(folder: string): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `${folder} holds more than ${FILES_MAX} files, ${FOLDER_BYTES_MAX / 2 ** 30} GiB or ${DEPTH_MAX} levels; a model ` +
      'folder holds the model and its papers only.',
  )
}
