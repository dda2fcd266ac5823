// Loads TensorFlow.js and its backends. Native TensorFlow and WebGPU are optional: their packages are absent unless
// somebody installed them, and any failure to load them means that another backend computes.

import type { Backend } from '../../core/scoring/scoring-model.ts'
import { openNative } from './native-backend.ts'
import {
  BackendProblem,
  loadTfjs,
  loadTfjsWasm,
  startBackend,
  type OpenBackend,
  type TensorFlow,
} from './open-backend.ts'
import { openWebGpu } from './webgpu-backend.ts'

export { BackendProblem, useBackend, type OpenBackend, type TensorFlow } from './open-backend.ts'

const RUN_ROWS_MAX = 4_096

/** Starts a backend and lets it compute once. @throws BackendProblem saying why it cannot be used. */
export async function openBackend(backend: Backend): Promise<OpenBackend> {
  const open = await OPENERS[backend]()
  await checkHealth(open.tf, backend)
  return open
}

const OPENERS: Readonly<Record<Backend, () => Promise<OpenBackend>>> = {
  tensorflow: openNative,
  webgpu: openWebGpu,
  async wasm() {
    const tf = loadTfjs()
    const { version_wasm } = loadTfjsWasm()
    await withoutProcessListeners(() => startBackend(tf, 'wasm'))
    const hasSimd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')
    const simd = hasSimd === true ? 'SIMD' : 'no SIMD'
    return { ...onCpu(tf), backend: 'wasm', detail: `CPU, ${simd}, tfjs ${version_wasm}` }
  },
  async cpu() {
    const tf = loadTfjs()
    await startBackend(tf, 'cpu')
    skipAdvertisement(tf)
    return { ...onCpu(tf), backend: 'cpu', detail: `CPU, JavaScript, tfjs ${tf.version.tfjs}` }
  },
}

/** Backends that compute one row like another, whatever stands beside it. */
function onCpu(tf: TensorFlow): Omit<OpenBackend, 'backend' | 'detail'> {
  return { tf, isOnGpu: false, isAsynchronous: false, rowMultiple: 1, runRowsMax: RUN_ROWS_MAX }
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

/** A sigmoid, since that is where a GPU without its compiler fails while it is said to be in use. */
async function checkHealth(tf: TensorFlow, backend: Backend): Promise<void> {
  const values = tf.tidy(() => tf.sigmoid(tf.tensor1d([0])))
  const [half] = await values.data()
  values.dispose()
  if (half === undefined || Math.abs(half - 0.5) > 1e-6) {
    throw new BackendProblem('wrong_result', `${backend} computes sigmoid(0) = ${String(half)}`)
  }
}
