// WebGPU: a way to a GPU from npm alone, through Vulkan, Metal or Direct3D. Optional. Results are asynchronous, so
// callers await them.

import type { RefusalReason } from '../../core/scoring/scoring-model.ts'
import {
  BackendProblem,
  firstLineOf,
  loadTfjs,
  startBackend,
  type OpenBackend,
  importOptional,
  PackageAbsent,
} from './open-backend.ts'

/** One tile of the matrix kernel: with whole tiles every batch runs the same kernel. */
const ROW_MULTIPLE = 32
const RUN_ROWS_MAX = 16_384

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render/i

interface AdapterInfo {
  readonly vendor: string
  readonly architecture: string
  readonly device: string
  readonly description: string
  readonly isFallbackAdapter?: boolean
}

interface Gpu {
  requestAdapter(options: object): Promise<{ readonly info: AdapterInfo } | null>
}

interface DawnPackage {
  readonly create: (options: readonly string[]) => Gpu
  readonly globals: object
}

interface WebGpuPackage {
  readonly webgpu_util: { readonly MatMulProgramType: Readonly<Record<string, number>> }
}

/** Opens the backend. @throws BackendProblem */
export async function openWebGpu(): Promise<OpenBackend> {
  const gpu = await startDawn()
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) {
    throw new BackendProblem(
      'start_failed',
      'no adapter: found neither a GPU with its driver nor a software adapter',
    )
  }
  const tf = loadTfjs()
  const { webgpu_util } = await importPackage<WebGpuPackage>('@tensorflow/tfjs-backend-webgpu')
  await startBackend(tf, 'webgpu')
  // By default the backend chooses a kernel by the number of rows and computes small inputs on the CPU.
  tf.env().set(
    'WEBGPU_MATMUL_PROGRAM_TYPE',
    webgpu_util.MatMulProgramType['MatMulPackedProgram'] ?? -1,
  )
  tf.env().set('WEBGPU_CPU_FORWARD', false)
  const { info } = adapter
  const isOnGpu = !isSoftware(info)
  return {
    backend: 'webgpu',
    tf,
    detail: `${isOnGpu ? 'GPU' : 'CPU, software adapter'}, ${adapterName(info)}, tfjs ${tf.version.tfjs}`,
    isOnGpu,
    isAsynchronous: true,
    rowMultiple: ROW_MULTIPLE,
    runRowsMax: RUN_ROWS_MAX,
  }
}

/** True for an adapter that computes on the CPU: it is not a GPU, whatever its name. */
export function isSoftware(info: AdapterInfo): boolean {
  if (info.isFallbackAdapter === true) return true
  return SOFTWARE.test(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`)
}

function adapterName({ vendor, device, description }: AdapterInfo): string {
  const words = [vendor, device, description].filter((word) => word !== '')
  return words.length === 0 ? 'unnamed adapter' : [...new Set(words)].join(' ')
}

/**
 * Starts one instance for the life of the process. It is stored where web pages store it and where the package of the
 * backend looks for it while it loads: an instance without references crashes the process. Node 21 and later have a
 * navigator.
 */
async function startDawn(): Promise<Gpu> {
  const page: { gpu?: Gpu } = (globalThis as { navigator?: object }).navigator ?? {}
  if (page.gpu !== undefined) return page.gpu
  const { create, globals } = await importPackage<DawnPackage>('webgpu')
  Object.assign(globalThis, globals)
  try {
    // Looking for OpenGL on Linux without a display is pointless.
    const gpu = create(process.platform === 'linux' ? ['backend=vulkan'] : [])
    Object.defineProperty(page, 'gpu', { value: gpu, configurable: true })
    Object.defineProperty(globalThis, 'navigator', { value: page, configurable: true })
    return gpu
  } catch (error) {
    throw new BackendProblem('start_failed', `webgpu does not start (${firstLineOf(error)})`)
  }
}

async function importPackage<Package>(packageName: string): Promise<Package> {
  try {
    return (await importOptional('webgpu', packageName)) as Package
  } catch (error) {
    const refusal: RefusalReason | null = error instanceof PackageAbsent ? null : 'load_failed'
    const reason =
      refusal === null
        ? `${packageName} is not installed`
        : `${packageName} does not load (${firstLineOf(error)})`
    throw new BackendProblem(refusal, reason)
  }
}
