// Builds the addon of @tensorflow/tfjs-node against the libraries of a current wheel: two C++ files, 14 headers and
// Node's stable interface, so that one build serves every version of Node. The package's own install script is never
// run: it fetches a library of 2022 and deletes what lies in `deps`.

import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { checkSymbols } from './addon-symbols.ts'
import { fetchWheel } from './fetch-wheel.ts'
import type { Programs } from './programs.ts'
import { ADDON_SYMBOLS, type Recipe } from './recipe.ts'
import { once, runStep, type StepContext } from './steps.ts'

const COMPILE_LIMIT_MS = 20 * 60_000
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const

/** Version of Node's interface for addons; the package looks for its addon in a folder of this name. */
const NAPI_VERSION = 8

/** @throws SluiceError SLUICE_PROVISION_FAILED */
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
    const sources = ['tfjs_backend.cc', 'tfjs_binding.cc']
    await runStep(
      context,
      'compiling the addon',
      [
        compiler,
        ...['-O2', '-std=c++17', '-shared', '-fPIC', `-DNAPI_VERSION=${NAPI_VERSION}`],
        ...[`-I${join(deps, 'include')}`, `-I${join(modules, 'node-api-headers/include')}`],
        ...sources.map((source) => join(packageFolder, 'binding', source)),
        ...['-o', addon, `-L${join(deps, 'lib')}`],
        ...LIBRARIES.map((library) => `-l:${library}`),
        '-Wl,-rpath,$ORIGIN/../../deps/lib',
      ],
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
    context.onProgress(`symbols: all ${wanted} are there`)
  })
}

/** To where the addon and TensorFlow look for them. */
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
  // TensorFlow looks for CUDA's libraries in every folder of nvidia/ but the one of cuSOLVER.
  const solver = 'cusolver/lib/libcusolver.so.11'
  if (existsSync(join(deps, 'nvidia', solver))) {
    rmSync(join(deps, 'nvidia/cublas/lib/libcusolver.so.11'), { force: true })
    symlinkSync(`../../${solver}`, join(deps, 'nvidia/cublas/lib/libcusolver.so.11'))
  }
}
