// The load of the benchmarks: a fixed seed and a fixed world, so that two runs differ in their timing only.

/** Years ago on any clock, since the scorer refuses event times ahead of the record's time stamp. */
export const BENCH_START_MS = Date.UTC(2020, 0, 1)
export const BENCH_SEED = 42

export interface SimulatedLoad {
  readonly transactions: number
  readonly cards: number
}

/** Arguments of `sluice produce simulate` for this load. */
export function producerArguments({ transactions, cards }: SimulatedLoad): readonly string[] {
  return [
    ...['--seed', String(BENCH_SEED), '--start', new Date(BENCH_START_MS).toISOString()],
    ...['--count', String(transactions), '--cards', String(cards)],
  ]
}
