// What installing needs on this machine. Everything that is missing is named at once, before anything is fetched.

import { statfs } from 'node:fs/promises'
import { SluiceError } from '../../services/core/errors.ts'
import { findProgram, runProgram } from '../servers/run-program.ts'
import type { Recipe } from './recipe.ts'

const VERSION_LIMIT_MS = 20_000
const GIB = 1024 ** 3

/** Programs that an installation calls, by path. */
export interface Programs {
  readonly npm: string
  readonly python: string
  readonly compiler: string
  readonly nm: string
}

/** What is known of the machine; handed in so that tests can be another one. */
export interface InstallMachine {
  readonly platform: string
  readonly arch: string
  readonly searchPath: string | undefined
  readonly freeBytes: number
}

/** The machine that this process runs on, as seen from a folder that is there. */
export async function installMachine(
  folder: string,
  searchPath: string | undefined,
): Promise<InstallMachine> {
  const { bavail, bsize } = await statfs(folder)
  const { platform, arch } = process
  return { platform, arch, searchPath, freeBytes: bavail * bsize }
}

/** @throws SluiceError SLUICE_PREREQUISITE_MISSING naming all that is missing, and a command. */
export async function findPrograms(recipe: Recipe, machine: InstallMachine): Promise<Programs> {
  const isNative = recipe.wheels.length > 0
  const find = (...names: readonly string[]): string | null =>
    names.reduce<string | null>((path, name) => path ?? findProgram(name, machine.searchPath), null)
  const programs = {
    npm: find('npm'),
    python: isNative ? find('python3') : '',
    compiler: isNative ? find('g++', 'clang++', 'c++') : '',
    nm: isNative ? find('nm') : '',
  }
  const missing: string[] = []
  const { platform, arch } = machine
  if (isNative && (platform !== 'linux' || arch !== 'x64')) {
    missing.push(
      `Linux on x86-64, for which the wheels of TensorFlow are (this is ${platform} ${arch}); ` +
        'WebGPU also works elsewhere: "sluice tensorflow install --webgpu"',
    )
  }
  if (programs.npm === null) missing.push('npm')
  if (programs.python === null) missing.push('python3')
  else if (isNative && !(await hasPip(programs.python))) missing.push('pip for python3')
  if (programs.compiler === null) missing.push('a C++ compiler (g++ or clang++)')
  if (programs.nm === null) missing.push('nm (binutils)')
  if (machine.freeBytes < recipe.diskBytesMin) {
    missing.push(
      `${gibibytes(recipe.diskBytesMin)} of free disk (there are ${gibibytes(machine.freeBytes)})`,
    )
  }
  const { npm, python, compiler, nm } = programs
  if (missing.length > 0 || npm === null || python === null || compiler === null || nm === null) {
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      `Missing on this machine:\n${missing.map((what) => `  - ${what}`).join('\n')}\n` +
        (isNative
          ? 'On Debian and Ubuntu: apt-get install -y python3-pip g++ binutils. '
          : 'Install Node with npm. ') +
        'Nothing was changed; Sluice scores without it.',
      { details: { missing } },
    )
  }
  return { npm, python, compiler, nm }
}

async function hasPip(python: string): Promise<boolean> {
  const { code } = await runProgram(python, ['-m', 'pip', '--version'], {
    limitMs: VERSION_LIMIT_MS,
  })
  return code === 0
}

function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`
}
