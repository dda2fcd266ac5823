// Native TensorFlow: optional, on the GPU where its addon was built for one and finds one.

import { createRequire } from 'node:module'
import type { RefusalReason } from '../../core/scoring/scoring-model.ts'
import {
  BackendProblem,
  firstLineOf,
  startBackend,
  type OpenBackend,
  type TensorFlow,
  importOptional,
  PackageAbsent,
} from './open-backend.ts'

const NATIVE_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

/**
 * On the CPU, TensorFlow's kernels treat the last rows of a batch differently unless their number is a multiple of
 * eight.
 */
const CPU_ROW_MULTIPLE = 8
/** On a GPU the kernel is chosen by the shape of the matrices, so every run has the same shape. */
const GPU_RUN_ROWS = 4_096
const RUN_ROWS_MAX = 4_096

/**
 * The libraries read these once, when they load. A value that an operator has set has precedence.
 * - Products in TF32 keep 10 bits of each factor, too few for the golden vectors.
 * - TensorFlow would take the whole memory of the GPU for itself.
 * - Level 1 hides TensorFlow's banner at every start, and shows warnings.
 */
const LIBRARY_SETTINGS = {
  NVIDIA_TF32_OVERRIDE: '0',
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  TF_CPP_MIN_LOG_LEVEL: '1',
} as const

interface NativeBackend {
  readonly isUsingGpuDevice?: boolean
  readonly binding?: { readonly TF_Version?: string }
}

/** Opens the backend. @throws BackendProblem */
export async function openNative(): Promise<OpenBackend> {
  const { tf, packageName } = await importNative()
  await startBackend(tf, 'tensorflow')
  const { isUsingGpuDevice, binding } = tf.backend() as NativeBackend
  const isOnGpu = isUsingGpuDevice === true
  const library = binding?.TF_Version === undefined ? '' : ` on TensorFlow ${binding.TF_Version}`
  return {
    backend: 'tensorflow',
    tf,
    detail: `${isOnGpu ? 'GPU' : 'CPU'}, ${packageName}${versionOf(tf)}${library}`,
    isOnGpu,
    isAsynchronous: false,
    rowMultiple: isOnGpu ? GPU_RUN_ROWS : CPU_ROW_MULTIPLE,
    runRowsMax: isOnGpu ? GPU_RUN_ROWS : RUN_ROWS_MAX,
  }
}

async function importNative(): Promise<{ tf: TensorFlow; packageName: string }> {
  restoreUtilFunctions()
  for (const [name, value] of Object.entries(LIBRARY_SETTINGS)) process.env[name] ??= value
  const reasons: string[] = []
  let refusal: RefusalReason | null = null
  for (const packageName of NATIVE_PACKAGES) {
    try {
      return { tf: (await importOptional('tensorflow', packageName)) as TensorFlow, packageName }
    } catch (error) {
      if (error instanceof PackageAbsent) {
        reasons.push(error.message)
        continue
      }
      refusal = 'load_failed'
      reasons.push(`${packageName} does not load (${firstLineOf(error)})`)
    }
  }
  throw new BackendProblem(refusal, reasons.join(', '))
}

/** tfjs-node 4.22 calls two functions: Node 23 removed the first and warns about the second on standard error. */
function restoreUtilFunctions(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  util['isArray'] = Array.isArray
}

function versionOf(tf: TensorFlow): string {
  const { version } = tf as unknown as { version?: Readonly<Record<string, string>> }
  const own = version?.['tfjs-node']
  return own === undefined ? '' : ` ${own}`
}
