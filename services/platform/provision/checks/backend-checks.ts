// Which scoring backends load here. The optional ones need native libraries that npm cannot always bring.

import { ok, warn, fail, type Check } from './finding.ts'

/** Tries one backend. Resolves to what was seen; rejects with why it does not work. */
export interface BackendProbe {
  readonly name: string
  readonly probe: () => Promise<string>
}

interface TensorFlowModule {
  readonly version?: Readonly<Record<string, string>>
  readonly backend?: () => { readonly isUsingGpuDevice?: boolean }
  readonly setBackend: (name: string) => Promise<boolean>
}

/** From the fastest down. The scorer's own ladder also asks each to reproduce the model's golden vectors. */
const DEFAULT_BACKEND_PROBES: readonly BackendProbe[] = [
  { name: 'tensorflow-gpu', probe: () => probeNative('@tensorflow/tfjs-node-gpu') },
  { name: 'tensorflow', probe: () => probeNative('@tensorflow/tfjs-node') },
  { name: 'wasm', probe: () => probeInProcess('wasm', '@tensorflow/tfjs-backend-wasm') },
  { name: 'cpu', probe: () => probeInProcess('cpu', '@tensorflow/tfjs') },
]

const REASON_CHARACTERS_MAX = 120

/** One check over all backends: fine as soon as a fast one loads. */
export function backendCheck(probes: readonly BackendProbe[] = DEFAULT_BACKEND_PROBES): Check {
  return {
    name: 'Scoring backends',
    async look() {
      const loaded: string[] = []
      const seen: string[] = []
      // One after the other: they share TensorFlow.js' registry of backends.
      for (const { name, probe } of probes) {
        try {
          seen.push(`${name}: ${await probe()}`)
          loaded.push(name)
        } catch (error) {
          seen.push(`${name}: ${reasonOf(error)}`)
        }
      }
      const text = seen.join('; ')
      if (loaded.length === 0) return fail(text, 'Run "npm ci" to bring back the npm dependencies.')
      if (loaded.every((name) => name === 'cpu')) {
        return warn(text, 'Only the slow backend loads. Run "npm ci" to bring back the wasm one.')
      }
      return ok(text)
    },
  }
}

/** The native packages are optional, so their names are not known to the compiler. */
async function probeNative(packageName: string): Promise<string> {
  const module = (await import(packageName)) as TensorFlowModule
  const version =
    module.version?.['tensorflow'] ?? module.version?.['tfjs-node'] ?? 'unknown version'
  const onGpu = module.backend?.().isUsingGpuDevice === true
  return `loads (${version}, ${onGpu ? 'on a GPU' : 'on the CPU'})`
}

async function probeInProcess(backend: string, packageName: string): Promise<string> {
  const tensorflow = (await import('@tensorflow/tfjs')) as unknown as TensorFlowModule
  await import(packageName)
  if (!(await tensorflow.setBackend(backend))) throw new Error('does not start')
  return 'loads'
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
    return 'not installed (optional)'
  }
  const message = error instanceof Error ? error.message : String(error)
  return `does not load (${(message.split('\n')[0] ?? '').slice(0, REASON_CHARACTERS_MAX)})`
}
