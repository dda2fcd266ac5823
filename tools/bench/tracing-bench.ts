// Tracing: its cost for the scorer, as processor time per event. The same replay runs with tracing off and on,
// alternately, so that other load of the machine affects all cases alike. Each round compares its runs with its own run
// with tracing off. The difference between the two equal runs is the noise.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Closable } from '../../services/platform/lifecycle.ts'
import { runReplayOnce, type BenchDeps } from './replay-bench.ts'
import { median } from './statistics.ts'

/** The compared cases, in the order of a round; every second round runs them in reverse order. */
const CASES = [
  { name: 'off', traceRatio: 0, isOn: false },
  { name: 'off, again', traceRatio: 0, isOn: false },
  { name: 'off, 1 % of messages traced', traceRatio: 0.01, isOn: false },
  { name: 'on, 1 % of messages traced', traceRatio: 0.01, isOn: true },
  { name: 'off, all messages traced', traceRatio: 1, isOn: false },
  { name: 'on, all messages traced', traceRatio: 1, isOn: true },
] as const

export interface TracingBenchOptions {
  readonly transactions: number
  readonly cards: number
  readonly batchSizeMax: number
  /** Rounds; each runs every case once. */
  readonly runs: number
}

export interface TracingCase {
  readonly name: string
  /** Processor time of the scorer by round. */
  readonly microsecondsPerEvent: readonly (number | null)[]
  readonly medianMicrosecondsPerEvent: number
  /** Median over the rounds of this case's time over that of the same round with tracing off; 1 is no cost. */
  readonly medianRatioToOff: number
  /** Requests with spans that the receiver got. */
  readonly spanRequests: number
}

export interface TracingBenchResult {
  readonly options: TracingBenchOptions
  readonly cases: readonly TracingCase[]
  /** Faults of the result, as sentences. */
  readonly problems: readonly string[]
}

/** Runs the benchmark; every run has a stream of its own, deleted at the end. */
export async function runTracingBench(
  options: TracingBenchOptions,
  deps: BenchDeps,
): Promise<TracingBenchResult> {
  const receiver = await openReceiver()
  const times = new Map<string, (number | null)[]>(CASES.map(({ name }) => [name, []]))
  const requests = new Map<string, number>()
  const problems: string[] = []
  try {
    for (let round = 0; round < options.runs; round += 1) {
      for (const each of round % 2 === 0 ? CASES : CASES.toReversed()) {
        deps.onProgress(`tracing, round ${round + 1} of ${options.runs}: ${each.name}`)
        const before = receiver.requests()
        const run = await runReplayOnce(replayOptions(options, each, receiver.endpoint), deps)
        times.get(each.name)?.push(run.cpuMicrosecondsPerEvent['scorer'] ?? null)
        requests.set(each.name, (requests.get(each.name) ?? 0) + receiver.requests() - before)
        problems.push(
          ...run.problems.map((problem) => `round ${round + 1}, ${each.name}: ${problem}`),
        )
      }
    }
  } finally {
    await receiver.close()
  }
  const cases = casesOf(times, requests)
  return { options, cases, problems: [...problems, ...spanProblems(cases)] }
}

function replayOptions(
  { transactions, cards, batchSizeMax }: TracingBenchOptions,
  { traceRatio, isOn }: (typeof CASES)[number],
  endpoint: string,
) {
  const environment: Record<string, string> = isOn
    ? { SLUICE_TRACING_ENDPOINT: endpoint, SLUICE_TRACING_SAMPLE_RATIO: String(traceRatio) }
    : {}
  const load = { transactions, cards, batchSizeMax, traceRatio }
  return { ...load, runs: 1, profileFile: null, environment }
}

/** Medians, and ratios within each round. An unknown processor time gives NaN. */
export function casesOf(
  times: ReadonlyMap<string, readonly (number | null)[]>,
  requests: ReadonlyMap<string, number>,
): readonly TracingCase[] {
  const off = times.get(CASES[0].name) ?? []
  return [...times].map(([name, each]) => ({
    name,
    microsecondsPerEvent: each,
    medianMicrosecondsPerEvent: median(each.map((time) => time ?? NaN)),
    medianRatioToOff: median(each.map((time, round) => (time ?? NaN) / (off[round] ?? NaN))),
    spanRequests: requests.get(name) ?? 0,
  }))
}

/** A run that traced nothing has measured no cost. */
function spanProblems(cases: readonly TracingCase[]): readonly string[] {
  return cases.flatMap(({ name, spanRequests }) =>
    name.startsWith('on') === spanRequests > 0
      ? []
      : [`${name}: the receiver got ${spanRequests} requests with spans.`],
  )
}

/** Receives spans and discards them. It runs in this process, so it costs the scorer nothing. */
async function openReceiver(): Promise<
  Closable & { readonly endpoint: string; requests(): number }
> {
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests: () => requests,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
