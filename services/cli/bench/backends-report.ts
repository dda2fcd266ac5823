// What `sluice bench backends` prints for people.

import type { BackendsResult, CallFigures, NetFigures } from './backends-bench.ts'
import { count } from './figures.ts'

export function backendsLines({ backends, gpus, measureMs }: BackendsResult): readonly string[] {
  return [
    '',
    `Backends, ${measureMs} ms for each line; ${gpus.length === 0 ? 'no NVIDIA GPU' : gpus.join('; ')}`,
    '  rows in a batch      p50 ms      p99 ms      rows/s   CPU us/row   calls',
    ...backends.flatMap(({ backend, nets }) => nets.flatMap((net) => netLines(backend, net))),
  ]
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
