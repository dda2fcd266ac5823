// Installation recipes: exact versions, the digest of every file that does not come through an npm lock file, and the
// required programs and disk space. Everything that is missing is reported at once, before any download.

import { statfs } from 'node:fs/promises'
import { SluiceError } from '../../services/core/errors.ts'
import { findProgram, runProgram } from '../servers/run-program.ts'

/** `cpu` and `gpu`: native TensorFlow; `webgpu`: a GPU through Vulkan, Metal or Direct3D, from npm alone. */
export const INSTALL_KINDS = ['cpu', 'gpu', 'webgpu'] as const
export type InstallKind = (typeof INSTALL_KINDS)[number]

/** A file of the Python package index. */
export interface Wheel {
  readonly requirement: string
  readonly sha256: string
  /** Prefixes of the paths that are extracted. */
  readonly parts: readonly string[]
}

export interface Recipe {
  readonly kind: InstallKind
  /** Folder of the repository with package.json and its lock file. */
  readonly npmFolder: string
  /** Packages that must be Sluice's own: a second copy would register its kernels again. */
  readonly shared: readonly string[]
  readonly wheels: readonly Wheel[]
  /** Disk space needed during installation. */
  readonly diskBytesMin: number
}

const GIB = 1024 ** 3

/** Functions of TensorFlow's C interface that the addon calls. */
export const ADDON_SYMBOLS = 55

/** Headers that the addon includes, directly or indirectly; the rest of the 11,000 files are not needed. */
const TENSORFLOW_PARTS = [
  'tensorflow/libtensorflow_cc.so.2',
  'tensorflow/libtensorflow_framework.so.2',
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/ctstring',
  'tensorflow/include/tsl/platform/ctstring',
  'tensorflow/include/xla/tsl/c/',
] as const

const NATIVE = { npmFolder: 'infra/tensorflow', shared: ['@tensorflow/tfjs'] } as const

function nvidia(name: string, version: string, sha256: string): Wheel {
  return { requirement: `nvidia-${name}-cu12==${version}`, sha256, parts: ['nvidia/'] }
}

export const RECIPES: Readonly<Record<InstallKind, Recipe>> = {
  cpu: {
    ...NATIVE,
    kind: 'cpu',
    wheels: [
      {
        requirement: 'tensorflow-cpu==2.21.0',
        sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
        parts: TENSORFLOW_PARTS,
      },
    ],
    diskBytesMin: 2 * GIB,
  },
  gpu: {
    ...NATIVE,
    kind: 'gpu',
    wheels: [
      {
        requirement: 'tensorflow==2.21.0',
        sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
        parts: TENSORFLOW_PARTS,
      },
      nvidia(
        'cublas',
        '12.9.3.13',
        'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
      ),
      nvidia(
        'cuda-nvcc',
        '12.9.86',
        '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
      ),
      nvidia(
        'cuda-nvrtc',
        '12.9.86',
        '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
      ),
      nvidia(
        'cuda-runtime',
        '12.9.79',
        '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
      ),
      nvidia(
        'cudnn',
        '9.28.0.42',
        '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
      ),
      nvidia(
        'cufft',
        '11.4.1.4',
        'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
      ),
      nvidia(
        'curand',
        '10.3.10.19',
        '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
      ),
      nvidia(
        'cusolver',
        '11.7.5.82',
        '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
      ),
      nvidia(
        'cusparse',
        '12.5.10.65',
        '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
      ),
      nvidia(
        'nvjitlink',
        '12.9.86',
        'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
      ),
    ],
    diskBytesMin: 9 * GIB,
  },
  webgpu: {
    kind: 'webgpu',
    npmFolder: 'infra/webgpu',
    shared: ['@tensorflow/tfjs-core'],
    wheels: [],
    diskBytesMin: 0.5 * GIB,
  },
}

const VERSION_LIMIT_MS = 20_000

/** Programs that an installation calls, by path. */
export interface Programs {
  readonly npm: string
  readonly python: string
  readonly compiler: string
  readonly nm: string
}

/** Facts about the machine; an argument so that tests can simulate another one. */
export interface InstallMachine {
  readonly platform: string
  readonly arch: string
  readonly searchPath: string | undefined
  readonly freeBytes: number
}

/** The machine of this process, as seen from an existing folder. */
export async function installMachine(
  folder: string,
  searchPath: string | undefined,
): Promise<InstallMachine> {
  const { bavail, bsize } = await statfs(folder)
  const { platform, arch } = process
  return { platform, arch, searchPath, freeBytes: bavail * bsize }
}

/**
 * Finds the programs.
 * @throws SluiceError SLUICE_PREREQUISITE_MISSING naming everything that is missing, and a command.
 */
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
      `Linux on x86-64, the platform of the TensorFlow wheels (this is ${platform} ${arch}); ` +
        'WebGPU works elsewhere too: "sluice tensorflow install --webgpu"',
    )
  }
  if (programs.npm === null) missing.push('npm')
  if (programs.python === null) missing.push('python3')
  else if (isNative && !(await hasPip(programs.python))) missing.push('pip for python3')
  if (programs.compiler === null) missing.push('a C++ compiler (g++ or clang++)')
  if (programs.nm === null) missing.push('nm (binutils)')
  if (machine.freeBytes < recipe.diskBytesMin) {
    missing.push(
      `${gibibytes(recipe.diskBytesMin)} of free disk space (found ${gibibytes(machine.freeBytes)})`,
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
