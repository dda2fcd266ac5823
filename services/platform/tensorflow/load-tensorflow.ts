// Loads TensorFlow.js and its backends. Native TensorFlow is optional: its packages are absent unless somebody
// installed them, and any failure to load them means absent.

import { createRequire } from 'node:module'
import type { Backend, RefusalReason } from '../../core/scoring/scoring-model.ts'

export type TensorFlow = typeof import('@tensorflow/tfjs')

/** A backend that has started and computes. */
export interface OpenBackend {
  readonly backend: Backend
  readonly tf: TensorFlow
  /** Device and library, in words. */
  readonly detail: string
  readonly isOnGpu: boolean
  /** Batches are padded to a multiple of this many rows, so that batch size changes no bit. */
  readonly rowMultiple: number
}

/** Why a backend cannot be used; `refusal` is null when it is just not installed. */
export class BackendProblem extends Error {
  readonly refusal: RefusalReason | null

  constructor(refusal: RefusalReason | null, message: string) {
    super(message)
    this.name = 'BackendProblem'
    this.refusal = refusal
  }
}

const NATIVE_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

const REASON_CHARACTERS_MAX = 120

/** TensorFlow's kernels treat the last rows of a batch differently unless they come in eights. */
const NATIVE_ROW_MULTIPLE = 8

/** Starts a backend and lets it compute once. @throws BackendProblem saying why it cannot be used. */
export async function openBackend(backend: Backend): Promise<OpenBackend> {
  const open = await OPENERS[backend]()
  checkHealth(open.tf, backend)
  return open
}

/** Makes this backend the current one; at once, since it was opened before. */
export function useBackend({ tf, backend }: OpenBackend): void {
  if (tf.getBackend() === backend) return
  // Switching to a backend that has started is done before the first await inside.
  void tf.setBackend(backend)
}

const OPENERS: Readonly<Record<Backend, () => Promise<OpenBackend>>> = {
  async tensorflow() {
    const { tf, packageName } = await importNative()
    await start(tf, 'tensorflow')
    const isOnGpu = (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true
    const library = libraryVersion(tf)
    return {
      backend: 'tensorflow',
      tf,
      detail: `${isOnGpu ? 'GPU' : 'CPU'}, ${packageName}${library}`,
      isOnGpu,
      rowMultiple: NATIVE_ROW_MULTIPLE,
    }
  },
  async wasm() {
    const tf = await import('@tensorflow/tfjs')
    const { version_wasm } = await import('@tensorflow/tfjs-backend-wasm')
    await withoutProcessListeners(() => start(tf, 'wasm'))
    const hasSimd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')
    const simd = hasSimd === true ? 'SIMD' : 'no SIMD'
    const detail = `CPU, ${simd}, tfjs ${version_wasm}`
    return { backend: 'wasm', tf, detail, isOnGpu: false, rowMultiple: 1 }
  },
  async cpu() {
    const tf = await import('@tensorflow/tfjs')
    await start(tf, 'cpu')
    skipAdvertisement(tf)
    const detail = `CPU, JavaScript, tfjs ${tf.version.tfjs}`
    return { backend: 'cpu', tf, detail, isOnGpu: false, rowMultiple: 1 }
  },
}

async function start(tf: TensorFlow, backend: Backend): Promise<void> {
  let isStarted = false
  let why = ''
  try {
    isStarted = await tf.setBackend(backend)
  } catch (error) {
    why = ` (${firstLineOf(error)})`
  }
  if (!isStarted) throw new BackendProblem('start_failed', `${backend} does not start${why}`)
}

/**
 * The wasm module sets process-wide handlers that throw every uncaught error once more, with its own minified
 * source for a stack. Errors of this process are not its business, so they are taken off again.
 */
async function withoutProcessListeners(work: () => Promise<void>): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'] as const
  const before = events.map((event) => new Set(process.rawListeners(event)))
  await work()
  for (const [index, event] of events.entries()) {
    for (const listener of process.rawListeners(event)) {
      if (before[index]?.has(listener) !== true) {
        process.removeListener(event, listener as (...args: unknown[]) => void)
      }
    }
  }
}

async function importNative(): Promise<{ tf: TensorFlow; packageName: string }> {
  restoreUtilFunctions()
  const reasons: string[] = []
  let refusal: RefusalReason | null = null
  for (const packageName of NATIVE_PACKAGES) {
    try {
      return { tf: (await import(packageName)) as TensorFlow, packageName }
    } catch (error) {
      if (isAbsent(error)) {
        reasons.push(`${packageName} is not installed`)
        continue
      }
      refusal = 'load_failed'
      reasons.push(`${packageName} does not load (${firstLineOf(error)})`)
    }
  }
  throw new BackendProblem(refusal, reasons.join(', '))
}

/** The package itself is missing; one whose own native part is missing fails in another way. */
function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
}

function firstLineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message.split('\n')[0] ?? '').slice(0, REASON_CHARACTERS_MAX)
}

/** tfjs-node 4.22 calls two functions that Node 23 took away. */
function restoreUtilFunctions(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  util['isArray'] ??= Array.isArray
}

function libraryVersion(tf: TensorFlow): string {
  const { version } = tf as unknown as { version?: Readonly<Record<string, string>> }
  const library = version?.['tensorflow'] ?? version?.['tfjs-node']
  return library === undefined ? '' : ` ${library}`
}

/**
 * The first tensor of the cpu backend prints an advertisement for the native package. Production mode turns
 * such prints off; it is on for that one tensor only, so that real warnings are still seen.
 */
function skipAdvertisement(tf: TensorFlow): void {
  const wasProduction = tf.env().getBool('PROD')
  tf.env().set('PROD', true)
  tf.scalar(0).dispose()
  tf.env().set('PROD', wasProduction)
}

function checkHealth(tf: TensorFlow, backend: Backend): void {
  const [half] = tf.tidy(() => tf.sigmoid(tf.tensor1d([0])).dataSync())
  if (half === undefined || Math.abs(half - 0.5) > 1e-6) {
    throw new BackendProblem('wrong_result', `${backend} computes sigmoid(0) = ${String(half)}`)
  }
}
