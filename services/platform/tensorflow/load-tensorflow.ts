// Loads TensorFlow.js and its backends. Native TensorFlow and WebGPU are optional: their packages are absent unless
// someone installed them, and after any failure to load them another backend computes.

import type { TensorFlowBackend } from '../../core/scoring/scoring-model.ts'
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

/** Starts a backend and lets it compute once. @throws BackendProblem with the reason why it cannot be used. */
export async function openBackend(backend: TensorFlowBackend): Promise<OpenBackend> {
  const open = await OPENERS[backend]()
  await checkHealth(open.tf, backend)
  return open
}

const OPENERS: Readonly<Record<TensorFlowBackend, () => Promise<OpenBackend>>> = {
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

/** Settings of backends that compute each row independently of the rest of the batch. */
function onCpu(tf: TensorFlow): Omit<OpenBackend, 'backend' | 'detail'> {
  return { tf, isOnGpu: false, isAsynchronous: false, rowMultiple: 1, runRowsMax: RUN_ROWS_MAX }
}

/**
 * The wasm module sets process-wide handlers that rethrow every uncaught error with its own minified source as the
 * stack. Errors of this process are not its business, so the handlers are removed again.
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
 * The first tensor of the cpu backend prints an advertisement for the native package. Production mode suppresses such
 * output; it is on for that one tensor only, so that real warnings still appear.
 */
function skipAdvertisement(tf: TensorFlow): void {
  const wasProduction = tf.env().getBool('PROD')
  tf.env().set('PROD', true)
  tf.scalar(0).dispose()
  tf.env().set('PROD', wasProduction)
}

/** Computes a sigmoid, which is where a GPU without its compiler fails although it is reported to be in use. */
async function checkHealth(tf: TensorFlow, backend: TensorFlowBackend): Promise<void> {
  const values = tf.tidy(() => tf.sigmoid(tf.tensor1d([0])))
  const [half] = await values.data()
  values.dispose()
  if (half === undefined || Math.abs(half - 0.5) > 1e-6) {
    throw new BackendProblem('wrong_result', `${backend} computes sigmoid(0) = ${String(half)}`)
  }
}
