// Installs native TensorFlow or WebGPU into a separate folder below `.sluice`, where the backends look for it. The
// folder gets its name only after everything in it was tried, so a partial installation is never found.

import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import { withRunLock } from '../servers/run-lock.ts'
import { optionalSetFolder } from '../../services/platform/tensorflow/open-backend.ts'
import { buildAddon } from './build-addon.ts'
import {
  findPrograms,
  installMachine,
  type Programs,
  RECIPES,
  type InstallKind,
  type Recipe,
} from './recipe.ts'
import { once, removeMarkers, runStep, type StepContext } from './steps.ts'
import { runProgram } from '../servers/run-program.ts'

const NPM_LIMIT_MS = 10 * 60_000
const RECORD = 'installed.txt'

export interface InstallOptions {
  readonly root: string
  readonly kind: InstallKind
  /** Folder of the installation; below `.sluice` unless given. */
  readonly folder?: string | undefined
  /** PATH, on which programs are looked up. */
  readonly searchPath: string | undefined
  /** Install again even if it is installed. */
  readonly force: boolean
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

export interface InstallResult extends SmokeResult {
  readonly kind: InstallKind
  readonly folder: string
  readonly wasThere: boolean
}

/**
 * Installs unless it is already installed, and runs a test computation. @throws SluiceError
 * SLUICE_PREREQUISITE_MISSING, SLUICE_PROVISION_FAILED, SLUICE_USAGE when the folder holds something else.
 */
export async function installBackend(options: InstallOptions): Promise<InstallResult> {
  const { root, kind, onProgress, signal } = options
  const recipe = RECIPES[kind]
  const link = optionalSetFolder(kind === 'webgpu' ? 'webgpu' : 'tensorflow', root)
  const folder = options.folder === undefined ? realOf(link) : resolve(options.folder)
  const lock = `${link}.lock`
  const onWait = (pid: number): void => {
    onProgress(`waiting for the installation of process ${pid}`)
  }
  return withRunLock(lock, { onWait, signal }, async () => {
    checkTarget(folder)
    const isThere = readFileIfPresent(join(folder, RECORD)) === describe(recipe)
    if (!isThere || options.force) await make(recipe, folder, options)
    const seen = await smoke(kind, folder, { root, signal })
    if (folder !== link) pointTo(link, folder)
    return { kind, folder, wasThere: isThere && !options.force, ...seen }
  })
}

async function make(recipe: Recipe, folder: string, options: InstallOptions): Promise<void> {
  const { root, kind, onProgress, signal } = options
  mkdirSync(dirname(folder), { recursive: true })
  const programs = await findPrograms(
    recipe,
    await installMachine(dirname(folder), options.searchPath),
  )
  const work = `${folder}.${kind}.part`
  const context: StepContext = { work, onProgress, signal }
  // Parts of another recipe are useless.
  if (readFileIfPresent(join(work, RECORD)) !== describe(recipe)) {
    rmSync(work, { recursive: true, force: true })
  }
  writeFileAtomically(join(work, RECORD), describe(recipe))
  await once(context, 'packages', () => installPackages(context, recipe, programs, root))
  if (recipe.wheels.length > 0) await buildAddon(context, recipe, programs)
  await smoke(kind, work, { root, signal })
  removeMarkers(work)
  const before = `${folder}.before`
  rmSync(before, { recursive: true, force: true })
  if (existsSync(folder)) renameSync(folder, before)
  renameSync(work, folder)
  rmSync(before, { recursive: true, force: true })
}

/** Installs from npm by the lock file, without running any script of a package. */
async function installPackages(
  context: StepContext,
  recipe: Recipe,
  { npm }: Programs,
  root: string,
): Promise<void> {
  const { work } = context
  const modules = join(work, 'node_modules')
  rmSync(modules, { recursive: true, force: true })
  for (const file of ['package.json', 'package-lock.json']) {
    cpSync(join(root, recipe.npmFolder, file), join(work, file))
  }
  await runStep(
    context,
    'npm ci',
    [npm, 'ci', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund'],
    { limitMs: NPM_LIMIT_MS, cwd: work },
  )
  for (const name of readdirSync(join(modules, '@tensorflow'))) {
    if (!isOwn(name)) rmSync(join(modules, '@tensorflow', name), { recursive: true })
  }
  for (const name of recipe.shared) {
    const place = join(modules, name)
    symlinkSync(relative(realpathSync(dirname(place)), join(root, 'node_modules', name)), place)
  }
}

/** True for packages of TensorFlow.js that Sluice itself does not have. */
function isOwn(name: string): boolean {
  return name === 'tfjs-node' || name === 'tfjs-backend-webgpu'
}

/** Identifies the content of a folder; a different text means that it must be built again. */
function describe({ kind, wheels, npmFolder }: Recipe): string {
  return [
    kind,
    npmFolder,
    ...wheels.map(({ requirement, sha256 }) => `${requirement} ${sha256}`),
    '',
  ].join('\n')
}

function checkTarget(folder: string): void {
  if (!existsSync(folder) || existsSync(join(folder, RECORD))) return
  if (lstatSync(folder).isDirectory() && readdirSync(folder).length === 0) return
  throw new SluiceError(
    'SLUICE_USAGE',
    `${folder} holds something else. Give an empty or new folder with --dir, or delete this one.`,
  )
}

/** The target of a link, or the path itself. */
function realOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path
}

/** The backends look below `.sluice`, so a folder elsewhere is linked from there. */
function pointTo(link: string, folder: string): void {
  const before = lstatSync(link, { throwIfNoEntry: false })
  if (before?.isSymbolicLink() === true && realOf(link) === realOf(folder)) return
  if (before !== undefined) rmSync(link, { recursive: true, force: true })
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(folder, link)
}

const SMOKE_LIMIT_MS = 120_000
const TAIL_LINES = 4

/** Result of a smoke test. `none`: it runs, but finds no device here to compute on. */
export interface SmokeResult {
  readonly device: 'gpu' | 'cpu' | 'none'
  /** Library or device, in words. */
  readonly detail: string
}

/**
 * Computes a matrix product and a sigmoid with the packages in `folder`, in a separate process: a failing native
 * library may end its process. @throws SluiceError SLUICE_PROVISION_FAILED with the last lines of the process.
 */
export async function smoke(
  kind: InstallKind,
  folder: string,
  { root, signal }: { readonly root: string; readonly signal?: AbortSignal | undefined },
): Promise<SmokeResult> {
  const script = join(
    root,
    'infra',
    kind === 'webgpu' ? 'webgpu/smoke.mjs' : 'tensorflow/smoke.cjs',
  )
  const { code, output } = await runProgram(process.execPath, [script, folder], {
    limitMs: SMOKE_LIMIT_MS,
    signal,
  })
  signal?.throwIfAborted()
  const [, word, detail = ''] = /^(OK gpu|OK cpu|NONE) (.*)$/m.exec(output) ?? []
  if (code === 0 && word !== undefined) {
    return { device: word === 'OK gpu' ? 'gpu' : word === 'OK cpu' ? 'cpu' : 'none', detail }
  }
  const tail = output.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `${folder} does not compute (${code === null ? 'ended' : `exit code ${code}`}):\n${tail}`,
  )
}
