// Backends x nets x batch sizes: how long a call takes, rows a second, processor time, and whether a row gets the
// same bits in every batch. Nothing else of the pipeline takes part.

import { SluiceError } from '../../services/core/errors.ts'
import { BACKENDS, type Backend } from '../../services/core/scoring/scoring-model.ts'
import { BackendProblem } from '../../services/platform/tensorflow/load-tensorflow.ts'
import type { BenchNet, OpenBenchNet } from './bench-nets.ts'
import { cascadeCosts, type CascadeCost, type CascadeParts } from './cascade-costs.ts'
import { readGpus } from './gpu-devices.ts'
import { percentile } from './statistics.ts'

export const BACKEND_BATCHES = [1, 256, 2_048, 16_384] as const

/** A call that would take longer is not made: what it would show is known by then. */
const CALL_MS_MAX = 5_000
const CALLS_MIN = 3
const CALLS_MAX = 100_000
/** Batches of one row that are compared with the whole. */
const SINGLE_ROWS = 8

export interface BackendsOptions {
  /** Time measured for each backend, net and batch size, milliseconds. */
  readonly measureMs: number
  readonly batches: readonly number[]
  readonly backends?: readonly Backend[]
  /** Whose nets are among those measured, to tell what they cost together; none unless given. */
  readonly cascades?: readonly CascadeParts[]
  /** Of one core for an hour, in any currency. */
  readonly coreHourPrice: number
}

export interface CallFigures {
  readonly rows: number
  readonly calls: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Over all measured calls. */
  readonly rowsPerSecond: number
  /** Processor time of all threads of this process. */
  readonly cpuMicrosecondsPerRow: number
}

export interface NetFigures {
  readonly net: string
  readonly detail: string
  /** Null where it cannot be used; `detail` says why. */
  readonly calls: readonly CallFigures[] | null
  /** Batch sizes that were left out, since one call would take too long. */
  readonly tooSlow: readonly number[]
  readonly isOnGpu: boolean
  /** Whether a row got the same bits in every batch size that was tried. */
  readonly hasSameBits: boolean | null
}

export interface BackendsResult {
  readonly gpus: readonly string[]
  readonly measureMs: number
  readonly backends: readonly { readonly backend: Backend; readonly nets: readonly NetFigures[] }[]
  readonly coreHourPrice: number
  readonly cascades: readonly CascadeCost[]
}

/** Runs the benchmark. What cannot be used here is told, not left out. */
export async function runBackendsBench(
  nets: readonly BenchNet[],
  options: BackendsOptions,
  onProgress: (line: string) => void,
): Promise<BackendsResult> {
  const backends: { backend: Backend; nets: NetFigures[] }[] = []
  for (const backend of options.backends ?? BACKENDS) {
    const figures: NetFigures[] = []
    for (const net of nets) {
      onProgress(`backends: ${backend}, ${net.name}`)
      figures.push(await measureNet(backend, net, options))
    }
    backends.push({ backend, nets: figures })
  }
  const { measureMs, coreHourPrice, cascades = [] } = options
  return {
    gpus: await readGpus(),
    ...{ measureMs, backends, coreHourPrice },
    cascades: cascadeCosts(backends, cascades, coreHourPrice),
  }
}

async function measureNet(
  backend: Backend,
  benchNet: BenchNet,
  { batches, measureMs }: BackendsOptions,
): Promise<NetFigures> {
  const { name } = benchNet
  let net: OpenBenchNet
  try {
    net = await benchNet.open(backend)
  } catch (error) {
    if (!(error instanceof SluiceError) && !(error instanceof BackendProblem)) throw error
    const unused = { calls: null, tooSlow: [], isOnGpu: false, hasSameBits: null }
    return { net: name, detail: error.message, ...unused }
  }
  try {
    const calls: CallFigures[] = []
    const tooSlow: number[] = []
    let rowMs = 0
    for (const size of batches) {
      if (rowMs * size > CALL_MS_MAX) {
        tooSlow.push(size)
        continue
      }
      const figures = await measureCalls(net, size, measureMs)
      calls.push(figures)
      rowMs = figures.p50Ms / size
    }
    const { detail, isOnGpu } = net
    const sizes = calls.map(({ rows }) => rows)
    return { net: name, detail, calls, tooSlow, isOnGpu, hasSameBits: await sameBits(net, sizes) }
  } finally {
    net.close()
  }
}

async function measureCalls(
  net: OpenBenchNet,
  rows: number,
  measureMs: number,
): Promise<CallFigures> {
  // The first call of a size may compile.
  await net.run(0, rows)
  const timesMs: number[] = []
  const cpuBefore = process.cpuUsage()
  const beganMs = performance.now()
  let nowMs = beganMs
  while (
    timesMs.length < CALLS_MIN ||
    (nowMs < beganMs + measureMs && timesMs.length < CALLS_MAX)
  ) {
    const startMs = performance.now()
    const scores = net.run(0, rows)
    // Waiting for what is no promise would cost a turn of the event loop at every call.
    if (scores instanceof Promise) await scores
    nowMs = performance.now()
    timesMs.push(nowMs - startMs)
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  const rowCount = rows * timesMs.length
  const sorted = Float64Array.from(timesMs).sort()
  return {
    rows,
    calls: timesMs.length,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    rowsPerSecond: (rowCount * 1_000) / (nowMs - beganMs),
    cpuMicrosecondsPerRow: (user + system) / rowCount,
  }
}

/** Compares every smaller batch, and some single rows, with the largest one. */
async function sameBits(net: OpenBenchNet, sizes: readonly number[]): Promise<boolean> {
  const count = Math.max(...sizes)
  const whole = Array.from(await net.run(0, count))
  const isAlike = async (start: number, size: number): Promise<boolean> => {
    const part = await net.run(start, size)
    for (let row = 0; row < size; row += 1) {
      if (!Object.is(part[row], whole[start + row])) return false
    }
    return true
  }
  for (const size of sizes) {
    if (!(await isAlike(count - size, size))) return false
  }
  for (let row = 0; row < Math.min(SINGLE_ROWS, count); row += 1) {
    if (!(await isAlike(row, 1))) return false
  }
  return true
}
