// What the benchmark of swaps says, as lines.

import { tableLines } from '../../services/cli/table.ts'
import { count, milliseconds } from './figures.ts'
import type { LatencySummary } from './statistics.ts'
import type { SwapResult } from './swap-bench.ts'

export function swapLines(result: SwapResult): readonly string[] {
  const { options, swaps, switchMs, ratio } = result
  return [
    '',
    `Swap of the model, ${swaps} times at ${count(options.ratePerSecond)}/s, ${count(result.decisions)} decisions: ` +
      'intended send time to decision at a committed reader',
    ...tableLines(
      (['before', 'during', 'after'] as const).map((phase) => [phase, latencyText(result[phase])]),
      { indent: '  ' },
    ),
    `  p99 during / before ${ratio === null ? 'unknown' : ratio.toFixed(2)}; message to every partition on the new model ` +
      `${switchMs.map(count).join(', ')} ms; load ${result.loadAverage[0] ?? 0}`,
  ]
}

function latencyText(latency: LatencySummary | null): string {
  if (latency === null) return 'nothing'
  const { p50Ms, p90Ms, p99Ms, maxMs, samples } = latency
  return (
    `p50 ${milliseconds(p50Ms)}, p90 ${milliseconds(p90Ms)}, p99 ${milliseconds(p99Ms)}, ` +
    `max ${milliseconds(maxMs)} (${count(samples)})`
  )
}
