// What `sluice bench backends` prints for people.

import { tableLines } from '../../services/cli/table.ts'
import type { BackendsResult, CallFigures, NetFigures } from './backends-bench.ts'
import type { PartCost } from './cascade-costs.ts'
import { count } from './figures.ts'

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
        ...cascades.flatMap(({ folder, backend, batchRows, targetShare, ...parts }) => [
          [
            `${backend}, ${folder}, batches of ${count(batchRows)}; the target scores ${(100 * targetShare).toFixed(2)} %`,
          ],
          partCells('draft', parts.draft),
          partCells('target', parts.target),
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
