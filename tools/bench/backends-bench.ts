// Backends x nets x batch sizes: duration of a call, rows per second, processor time, and whether a row gets the same
// bits in every batch. No other part of the pipeline is involved.

import { resolve } from 'node:path'
import { repositoryRoot } from '../../services/cli/command.ts'
import { tableLines } from '../../services/cli/table.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { SluiceError } from '../../services/core/errors.ts'
import { type Backend, BACKENDS } from '../../services/core/scoring/scoring-model.ts'
import { BackendProblem } from '../../services/platform/tensorflow/load-tensorflow.ts'
import { readModelFolder } from '../../services/platform/tensorflow/model-folder.ts'
import type { BenchNet, OpenBenchNet } from './bench-nets.ts'
import { readGpus } from './machine.ts'
import { count, percentile } from './statistics.ts'

export const BACKEND_BATCHES = [1, 256, 2_048, 16_384] as const

/** A call that would take longer is skipped: smaller batches have shown the backend's speed by then. */
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
  /** Cascades whose nets are measured, for the cost of both together; none by default. */
  readonly cascades?: readonly CascadeParts[]
  /** Price of one core for an hour, in any currency. */
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
  /** Null if the backend is unavailable; `detail` has the reason. */
  readonly calls: readonly CallFigures[] | null
  /** Batch sizes that were skipped because one call would take too long. */
  readonly tooSlow: readonly number[]
  readonly isOnGpu: boolean
  /** True when a row got the same bits in every batch size that was tried. */
  readonly hasSameBits: boolean | null
}

export interface BackendsResult {
  readonly gpus: readonly string[]
  readonly measureMs: number
  readonly backends: readonly { readonly backend: Backend; readonly nets: readonly NetFigures[] }[]
  readonly coreHourPrice: number
  readonly cascades: readonly CascadeCost[]
}

/** Runs the benchmark. The result names the backends that cannot be used here. */
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
    measureMs,
    backends,
    coreHourPrice,
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
    // Awaiting a value that is not a promise would cost a turn of the event loop per call.
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

// Cost of both stages of a cascade: processor time of a million payments, and its price at the price of a core per
// hour. GPU time is not included.

/** Batch size of the reported figures, close to what partitions score at a time. */
const BATCH_ROWS = 256

const ROWS = 1_000_000
const MICROSECONDS_PER_HOUR = 3.6e9

/** Measurements of one batch size. */
interface MeasuredCalls {
  readonly rows: number
  readonly rowsPerSecond: number
  readonly cpuMicrosecondsPerRow: number
}

/** Measurements on one backend, by the names of the nets. */
interface MeasuredBackend {
  readonly backend: Backend
  readonly nets: readonly {
    readonly net: string
    readonly calls: readonly MeasuredCalls[] | null
  }[]
}

/** The two nets of a folder, as the benchmark names them. */
export interface CascadeParts {
  readonly folder: string
  readonly firstStage: string
  readonly secondStage: string
  /** Share of all payments: those in the band on validation, and the sample that watches agreement. */
  readonly secondStageShare: number
}

export interface PartCost {
  readonly rowsPerSecond: number
  readonly cpuMicrosecondsPerRow: number
  /** Price of a million rows, in the currency of the core's price. */
  readonly pricePerMillion: number
}

/** Costs of one cascade on one backend. */
export interface CascadeCost {
  readonly folder: string
  readonly backend: Backend
  readonly batchRows: number
  readonly secondStageShare: number
  readonly firstStage: PartCost
  readonly secondStage: PartCost
  /** A million payments: the first stage for all, the second stage for its share. */
  readonly cascade: PartCost
}

/** Returns null for a model of one net. @throws SluiceError as readModelFolder. */
export async function cascadeOf(folder: string): Promise<CascadeParts | null> {
  const path = resolve(repositoryRoot(), folder)
  const { manifest } = await readModelFolder(path, DEFAULT_RATES.reference)
  const { target } = manifest
  if (target === null) return null
  const { verifiedShare, sampleShare } = target
  return {
    folder,
    firstStage: `${folder}, first stage`,
    secondStage: `${folder}, second stage`,
    secondStageShare: verifiedShare + (1 - verifiedShare) * sampleShare,
  }
}

/** Computed from measured calls; backends on which one of the two nets was not measured are omitted. */
export function cascadeCosts(
  backends: readonly MeasuredBackend[],
  cascades: readonly CascadeParts[],
  coreHourPrice: number,
): readonly CascadeCost[] {
  return cascades.flatMap(({ folder, firstStage, secondStage, secondStageShare }) =>
    backends.flatMap(({ backend, nets }) => {
      const callsOf = (name: string): MeasuredCalls | undefined =>
        nets
          .find(({ net }) => net === name)
          ?.calls?.filter(({ rows }) => rows <= BATCH_ROWS)
          .at(-1)
      const [first, second] = [callsOf(firstStage), callsOf(secondStage)]
      if (first === undefined || second?.rows !== first.rows) return []
      const cost = (rowsPerSecond: number, cpuMicrosecondsPerRow: number): PartCost => ({
        rowsPerSecond,
        cpuMicrosecondsPerRow,
        pricePerMillion: ((cpuMicrosecondsPerRow * ROWS) / MICROSECONDS_PER_HOUR) * coreHourPrice,
      })
      const secondsPerRow = 1 / first.rowsPerSecond + secondStageShare / second.rowsPerSecond
      return [
        {
          folder,
          backend,
          secondStageShare,
          batchRows: first.rows,
          firstStage: cost(first.rowsPerSecond, first.cpuMicrosecondsPerRow),
          secondStage: cost(second.rowsPerSecond, second.cpuMicrosecondsPerRow),
          cascade: cost(
            1 / secondsPerRow,
            first.cpuMicrosecondsPerRow + secondStageShare * second.cpuMicrosecondsPerRow,
          ),
        },
      ]
    }),
  )
}

// The report of `sluice bench backends` for people.

export function backendsLines(result: BackendsResult): readonly string[] {
  const { backends, gpus, measureMs } = result
  return [
    '',
    `Backends, ${measureMs} ms for each line; ${gpus.length === 0 ? 'no NVIDIA GPU' : gpus.join('; ')}`,
    ...tableLines(
      [
        ['rows in a batch', 'p50 ms', 'p99 ms', 'rows/s', 'CPU us/row', 'calls'],
        ...backends.flatMap(({ backend, nets }) => nets.flatMap((net) => netRows(backend, net))),
      ],
      { align: 'rrrrrr', indent: '  ' },
    ),
    ...cascadeLines(result),
  ]
}

function cascadeLines({ cascades, coreHourPrice }: BackendsResult): readonly string[] {
  if (cascades.length === 0) return []
  return [
    '',
    `Cascades: processor time of a million payments, at ${coreHourPrice} for a core and hour (a GPU's time is not counted)`,
    ...tableLines(
      [
        ['', 'rows/s', 'CPU us/row', 'price of a million'],
        ...cascades.flatMap(({ folder, backend, batchRows, secondStageShare, ...parts }) => [
          [
            `${backend}, ${folder}, batches of ${count(batchRows)}; the second stage scores ${(100 * secondStageShare).toFixed(2)} %`,
          ],
          partCells('first stage', parts.firstStage),
          partCells('second stage', parts.secondStage),
          partCells('cascade', parts.cascade),
        ]),
      ],
      { align: 'lrrr', indent: '  ' },
    ),
  ]
}

function partCells(name: string, cost: PartCost): readonly string[] {
  return [
    name,
    count(cost.rowsPerSecond),
    cost.cpuMicrosecondsPerRow.toFixed(2),
    cost.pricePerMillion.toPrecision(3),
  ]
}

/** Problems that make the figures worthless, as sentences. */
export function backendsProblems({ backends }: BackendsResult): readonly string[] {
  return backends.flatMap(({ backend, nets }) =>
    nets
      .filter(({ hasSameBits }) => hasSameBits === false)
      .map(
        ({ net }) => `backends: ${backend} scores a row of ${net} differently by size of batch.`,
      ),
  )
}

function netRows(backend: string, net: NetFigures): readonly (readonly string[])[] {
  const title = [`${backend}, ${net.net}: ${net.detail}`]
  if (net.calls === null) return [title]
  return [
    title,
    ...net.calls.map(callCells),
    ...net.tooSlow.map((rows) => [count(rows), 'too slow']),
  ]
}

function callCells(figures: CallFigures): readonly string[] {
  const { rows, p50Ms, p99Ms, rowsPerSecond, cpuMicrosecondsPerRow, calls } = figures
  return [
    count(rows),
    p50Ms.toFixed(3),
    p99Ms.toFixed(3),
    count(rowsPerSecond),
    cpuMicrosecondsPerRow.toFixed(2),
    count(calls),
  ]
}
