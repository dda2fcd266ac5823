// Builds the addon of @tensorflow/tfjs-node against the libraries of a current wheel: two C++ files, 14 headers and
// Node's stable interface, so one build serves every version of Node. The package's own install script is never run:
// it downloads a library of 2022 and deletes the contents of `deps`.

import {
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  readdirSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { type Programs, ADDON_SYMBOLS, type Recipe, type Wheel } from './recipe.ts'
import { once, runStep, type StepContext } from './steps.ts'
import { runProgram } from '../servers/run-program.ts'

const COMPILE_LIMIT_MS = 20 * 60_000
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const

/** Version of Node's interface for addons; the package looks for its addon in a folder of this name. */
const NAPI_VERSION = 8

/** Downloads the wheels, compiles the addon and checks it. @throws SluiceError SLUICE_PROVISION_FAILED */
export async function buildAddon(
  context: StepContext,
  recipe: Recipe,
  { python, compiler, nm }: Programs,
): Promise<void> {
  const modules = join(context.work, 'node_modules')
  const packageFolder = join(modules, '@tensorflow/tfjs-node')
  const deps = join(packageFolder, 'deps')
  for (const wheel of recipe.wheels) {
    await once(context, wheel.requirement, () => fetchWheel(context, python, wheel, deps))
  }
  await once(context, 'libraries', () => {
    placeLibraries(deps)
    return Promise.resolve()
  })
  const addon = join(packageFolder, `lib/napi-v${NAPI_VERSION}/tfjs_binding.node`)
  await once(context, 'addon', async () => {
    mkdirSync(join(addon, '..'), { recursive: true })
    await runStep(
      context,
      'compiling the addon',
      [compiler, ...compilerArguments(modules, packageFolder, addon)],
      { limitMs: COMPILE_LIMIT_MS },
    )
  })
  await once(context, 'symbols', async () => {
    const libraries = LIBRARIES.map((library) => join(deps, 'lib', library))
    const { wanted, missing } = await checkSymbols(nm, addon, libraries, context.signal)
    if (wanted !== ADDON_SYMBOLS || missing.length > 0) {
      throw new SluiceError(
        'SLUICE_PROVISION_FAILED',
        `The addon calls ${wanted} functions of TensorFlow, expected ${ADDON_SYMBOLS}; the libraries lack ` +
          `${missing.length === 0 ? 'none' : missing.join(', ')}. Nothing was installed.`,
      )
    }
    context.onProgress(`symbols: all ${wanted} found`)
  })
}

function compilerArguments(modules: string, packageFolder: string, addon: string): string[] {
  const deps = join(packageFolder, 'deps')
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc']
  return [
    '-O2',
    '-std=c++17',
    '-shared',
    '-fPIC',
    `-DNAPI_VERSION=${NAPI_VERSION}`,
    `-I${join(deps, 'include')}`,
    `-I${join(modules, 'node-api-headers/include')}`,
    ...sources.map((source) => join(packageFolder, 'binding', source)),
    '-o',
    addon,
    `-L${join(deps, 'lib')}`,
    ...LIBRARIES.map((library) => `-l:${library}`),
    '-Wl,-rpath,$ORIGIN/../../deps/lib',
  ]
}

/** Moves the libraries and headers to where the addon and TensorFlow look for them. */
function placeLibraries(deps: string): void {
  const unpacked = join(deps, 'tensorflow')
  mkdirSync(join(deps, 'lib'), { recursive: true })
  for (const library of LIBRARIES) {
    if (existsSync(join(unpacked, library))) {
      renameSync(join(unpacked, library), join(deps, 'lib', library))
    }
  }
  rmSync(join(deps, 'include'), { recursive: true, force: true })
  renameSync(join(unpacked, 'include'), join(deps, 'include'))
  rmSync(unpacked, { recursive: true })
  // TensorFlow looks for CUDA's libraries in every folder of nvidia/ except cuSOLVER's.
  const solver = 'cusolver/lib/libcusolver.so.11'
  if (existsSync(join(deps, 'nvidia', solver))) {
    rmSync(join(deps, 'nvidia/cublas/lib/libcusolver.so.11'), { force: true })
    symlinkSync(`../../${solver}`, join(deps, 'nvidia/cublas/lib/libcusolver.so.11'))
  }
}

const FETCH_LIMIT_MS = 60 * 60_000
const UNPACK_LIMIT_MS = 15 * 60_000

/** Any Python version will do, since no Python code of the wheels is run. */
const PIP_OPTIONS = [
  '--disable-pip-version-check',
  '--quiet',
  '--no-deps',
  '--only-binary=:all:',
  '--require-hashes',
  '--implementation',
  'cp',
  '--python-version',
  '3.11',
  '--abi',
  'cp311',
  '--abi',
  'none',
  ...['2_28', '2_27', '2_17', '2_12'].flatMap((tag) => ['--platform', `manylinux_${tag}_x86_64`]),
  ...['2014', '2010'].flatMap((tag) => ['--platform', `manylinux${tag}_x86_64`]),
]

/** Python's own zip module drops the executable bits, which ptxas needs. */
const UNPACK = `
import os, sys, zipfile
archive, folder, *parts = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for entry in wheel.infolist():
        if entry.is_dir() or not entry.filename.startswith(tuple(parts)):
            continue
        path = wheel.extract(entry, folder)
        os.chmod(path, 0o755 if (entry.external_attr >> 16) & 0o100 else 0o644)
`

/**
 * Extracts the needed files of a wheel into `folder` and discards the wheel. Its digest is known in advance. pip
 * downloads it, so configured mirrors and proxies are used. @throws SluiceError SLUICE_PROVISION_FAILED
 */
export async function fetchWheel(
  context: StepContext,
  python: string,
  { requirement, sha256, parts }: Wheel,
  folder: string,
): Promise<void> {
  const wheels = join(context.work, 'wheels')
  rmSync(wheels, { recursive: true, force: true })
  mkdirSync(wheels, { recursive: true })
  const list = join(wheels, 'requirements.txt')
  writeFileSync(list, `${requirement} --hash=sha256:${sha256}\n`)
  await runStep(
    context,
    `fetching ${requirement}`,
    [python, '-m', 'pip', 'download', ...PIP_OPTIONS, '--dest', wheels, '--requirement', list],
    { limitMs: FETCH_LIMIT_MS },
  )
  const wheel = readdirSync(wheels).find((name) => name.endsWith('.whl')) ?? ''
  await runStep(
    context,
    `unpacking ${requirement}`,
    [python, '-c', UNPACK, join(wheels, wheel), folder, ...parts],
    { limitMs: UNPACK_LIMIT_MS },
  )
  rmSync(wheels, { recursive: true })
}

const NM_LIMIT_MS = 120_000
const TENSORFLOW_FUNCTION = /\b(?:TFE?_\w+)/

export interface SymbolCheck {
  /** Number of TensorFlow functions that the addon calls. */
  readonly wanted: number
  /** Called functions that no library has. */
  readonly missing: readonly string[]
}

/**
 * Compares the functions that `addon` calls with those of the libraries. A missing function would end the process at
 * its first call, not at start-up.
 * @throws Error with the output of `nm`.
 */
export async function checkSymbols(
  nm: string,
  addon: string,
  libraries: readonly string[],
  signal?: AbortSignal,
): Promise<SymbolCheck> {
  const wanted = await symbolsOf(nm, '--undefined-only', addon, signal)
  const present = new Set<string>()
  for (const library of libraries) {
    for (const name of await symbolsOf(nm, '--defined-only', library, signal)) present.add(name)
  }
  return { wanted: wanted.size, missing: [...wanted].filter((name) => !present.has(name)).sort() }
}

async function symbolsOf(
  nm: string,
  which: '--undefined-only' | '--defined-only',
  file: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  // Filtered by the shell: a library of TensorFlow has hundreds of thousands of symbols.
  const { code, output } = await runProgram(
    'sh',
    ['-c', '"$1" -D "$2" "$3" | grep -E " TFE?_[A-Za-z]" || true', 'sh', nm, which, file],
    { limitMs: NM_LIMIT_MS, signal },
  )
  if (code !== 0) throw new Error(`${nm} cannot read ${file}: ${output.trim().slice(-200)}`)
  for (const line of output.split('\n')) {
    const name = TENSORFLOW_FUNCTION.exec(line)?.[0]
    if (name !== undefined) names.add(name)
  }
  return names
}
