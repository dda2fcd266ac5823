// What `sluice bench backends` prints for people.

import type { BackendsResult, CallFigures, NetFigures } from './backends-bench.ts'
import type { PartCost } from './cascade-costs.ts'
import { count } from './figures.ts'

export function backendsLines(result: BackendsResult): readonly string[] {
  const { backends, gpus, measureMs } = result
  return [
    '',
    `Backends, ${measureMs} ms for each line; ${gpus.length === 0 ? 'no NVIDIA GPU' : gpus.join('; ')}`,
    '  rows in a batch      p50 ms      p99 ms      rows/s   CPU us/row   calls',
    ...backends.flatMap(({ backend, nets }) => nets.flatMap((net) => netLines(backend, net))),
    ...cascadeLines(result),
  ]
}

function cascadeLines({ cascades, coreHourPrice }: BackendsResult): readonly string[] {
  if (cascades.length === 0) return []
  return [
    '',
    `Cascades: processor time of a million payments, at ${coreHourPrice} for a core and hour (a GPU's time is not counted)`,
    '                      rows/s   CPU us/row   price of a million',
    ...cascades.flatMap(({ folder, backend, batchRows, targetShare, draft, target, cascade }) => [
      `${backend}, ${folder}, batches of ${count(batchRows)}; the target scores ${(100 * targetShare).toFixed(2)} %`,
      partLine('draft', draft),
      partLine('target', target),
      partLine('cascade', cascade),
    ]),
  ]
}

function partLine(name: string, cost: PartCost): string {
  return [
    `  ${name.padEnd(14)}`,
    count(cost.rowsPerSecond).padStart(10),
    cost.cpuMicrosecondsPerRow.toFixed(2).padStart(11),
    cost.pricePerMillion.toPrecision(3).padStart(19),
  ].join('  ')
}

/** What makes the figures worthless, as sentences. */
export function backendsProblems({ backends }: BackendsResult): readonly string[] {
  return backends.flatMap(({ backend, nets }) =>
    nets
      .filter(({ hasSameBits }) => hasSameBits === false)
      .map(
        ({ net }) => `backends: ${backend} scores a row of ${net} differently by size of batch.`,
      ),
  )
}

function netLines(backend: string, net: NetFigures): readonly string[] {
  const title = `${backend}, ${net.net}: ${net.detail}`
  if (net.calls === null) return [title]
  return [
    title,
    ...net.calls.map(callLine),
    ...net.tooSlow.map((rows) => `  ${count(rows).padStart(15)}  left out: too slow`),
  ]
}

function callLine(figures: CallFigures): string {
  const { rows, p50Ms, p99Ms, rowsPerSecond, cpuMicrosecondsPerRow, calls } = figures
  return [
    `  ${count(rows).padStart(15)}`,
    p50Ms.toFixed(3).padStart(10),
    p99Ms.toFixed(3).padStart(10),
    count(rowsPerSecond).padStart(10),
    cpuMicrosecondsPerRow.toFixed(2).padStart(11),
    count(calls).padStart(6),
  ].join('  ')
}
