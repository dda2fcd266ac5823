// The load of the benchmarks: a fixed seed and a fixed world, so that two runs differ in their timing only.

/** Years ago on any clock, since the scorer refuses event times ahead of the record's time stamp. */
export const BENCH_START_MS = Date.UTC(2020, 0, 1)
export const BENCH_SEED = 42

export interface SimulatedLoad {
  readonly transactions: number
  readonly cards: number
  /** Share of the transactions that begin a trace; none when absent. */
  readonly traceRatio?: number
}

/** Arguments of `sluice produce simulate` for this load. */
export function producerArguments(load: SimulatedLoad): readonly string[] {
  const { transactions, cards, traceRatio = 0 } = load
  return [
    ...['--seed', String(BENCH_SEED), '--start', new Date(BENCH_START_MS).toISOString()],
    ...['--count', String(transactions), '--cards', String(cards)],
    ...(traceRatio === 0 ? [] : ['--trace-ratio', String(traceRatio)]),
  ]
}
