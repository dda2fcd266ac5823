// An open backend of TensorFlow.js, the reason why one cannot be used, and the loading of its packages. Optional
// packages are in a folder of their own below `.sluice`, where `sluice tensorflow install` puts them, or among the
// installed packages.

import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RefusalReason, TensorFlowBackend } from '../../core/scoring/scoring-model.ts'
import { repositoryRoot } from '../repository-root.ts'

export type TensorFlow = typeof import('@tensorflow/tfjs')

const require = createRequire(import.meta.url)

/** Loads TensorFlow.js. */
export function loadTfjs(): TensorFlow {
  return load('@tensorflow/tfjs') as TensorFlow
}

/** Loads the package of the wasm backend, which registers the backend. */
export function loadTfjsWasm(): typeof import('@tensorflow/tfjs-backend-wasm') {
  return load('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm')
}

/**
 * These packages are written for `require`. `import` would first read all of them for the names of their exports,
 * which takes as long as loading them. Reading their source maps, 17 MB, would take as long again.
 */
function load(packageName: string): unknown {
  const hadMaps = process.sourceMapsEnabled
  process.setSourceMapsEnabled(false)
  try {
    return require(packageName)
  } finally {
    process.setSourceMapsEnabled(hadMaps)
  }
}

/** A backend that has started and computes. */
export interface OpenBackend {
  readonly backend: TensorFlowBackend
  readonly tf: TensorFlow
  /** Device and library, in words. */
  readonly detail: string
  readonly isOnGpu: boolean
  /** True when results can only be awaited (`data()`), not read synchronously (`dataSync()`). */
  readonly isAsynchronous: boolean
  /** Batches are padded to a multiple of this many rows, so that the size of a batch changes no bit. */
  readonly rowMultiple: number
  /** Most rows of one run, a multiple of `rowMultiple`; more rows are scored in several runs. */
  readonly runRowsMax: number
}

/** The reason why a backend cannot be used; `refusal` is null when it is merely not installed. */
export class BackendProblem extends Error {
  readonly refusal: RefusalReason | null

  constructor(refusal: RefusalReason | null, message: string) {
    super(message)
    this.name = 'BackendProblem'
    this.refusal = refusal
  }
}

const REASON_CHARACTERS_MAX = 120

/** Makes this backend the current one, synchronously, since it was opened before. */
export function useBackend({ tf, backend }: OpenBackend): void {
  if (tf.getBackend() === backend) return
  // Switching to a started backend is complete before the first await inside.
  void tf.setBackend(backend)
}

/** Starts a backend. @throws BackendProblem `start_failed` */
export async function startBackend(tf: TensorFlow, backend: TensorFlowBackend): Promise<void> {
  let isStarted = false
  let why = ''
  try {
    isStarted = await tf.setBackend(backend)
  } catch (error) {
    why = ` (${firstLineOf(error)})`
  }
  if (!isStarted) throw new BackendProblem('start_failed', `${backend} does not start${why}`)
}

/** The first words of an error, for a reason that fits in one line. */
export function firstLineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message.split('\n')[0] ?? '').slice(0, REASON_CHARACTERS_MAX)
}

/** Folders that `sluice tensorflow install` creates; each may be a link to another place. */
export const OPTIONAL_SETS = ['tensorflow', 'webgpu'] as const
export type OptionalSet = (typeof OPTIONAL_SETS)[number]

/** The package is not installed anywhere. */
export class PackageAbsent extends Error {}

/** Folder of a set, whether it exists or not. */
export function optionalSetFolder(set: OptionalSet, root = repositoryRoot()): string {
  return join(root, '.sluice', set)
}

/**
 * Imports a package from its own folder if it is there, otherwise from the installed packages.
 * @throws PackageAbsent
 */
export async function importOptional(
  set: OptionalSet,
  packageName: string,
  folder = optionalSetFolder(set),
): Promise<unknown> {
  const own = join(folder, 'node_modules', packageName)
  if (existsSync(own)) {
    const entry = createRequire(join(folder, 'package.json')).resolve(packageName)
    return import(pathToFileURL(entry).href)
  }
  try {
    // The compiler does not know the name, since the package may be absent.
    return (await import(packageName)) as unknown
  } catch (error) {
    if (isMissing(error, packageName)) throw new PackageAbsent(`${packageName} is not installed`)
    throw error
  }
}

/** True when the package itself is missing; a package that lacks one of its own fails in another way. */
function isMissing(error: unknown, packageName: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes(`'${packageName}'`)
  )
}
