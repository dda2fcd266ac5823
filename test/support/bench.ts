// Benchmarks run as tests in two sizes, small in every run and full with BENCH=1. The result includes a checksum, so
// that no benchmark gets faster by doing less.

const IS_FULL = process.env['BENCH'] === '1'
const FULL_RUNS = 5
const SMOKE_RUNS = 2

/** The size for this run. */
export function benchSize(sizes: { readonly smoke: number; readonly full: number }): number {
  return IS_FULL ? sizes.full : sizes.smoke
}

/**
 * Runs `work` several times and prints one line: the median rate, and the checksum that each run returned.
 * @throws Error when two runs return different checksums.
 */
export function bench(name: string, eventCount: number, work: () => number): number {
  const elapsedMs: number[] = []
  const checksums = new Set<number>()
  for (let run = 0; run < (IS_FULL ? FULL_RUNS : SMOKE_RUNS); run += 1) {
    const startMs = performance.now()
    checksums.add(work())
    elapsedMs.push(performance.now() - startMs)
  }
  const [checksum = NaN] = checksums
  if (checksums.size !== 1) throw new Error(`${name}: checksums differ: ${[...checksums].join()}.`)
  elapsedMs.sort((a, b) => a - b)
  const medianMs = elapsedMs[elapsedMs.length >> 1] ?? NaN
  const perSecond = Math.round((eventCount / medianMs) * 1_000).toLocaleString('en')
  const runs = `${eventCount.toLocaleString('en')} events, median of ${elapsedMs.length} runs`
  console.log(`${name}: ${perSecond} events/s (${runs}, checksum ${checksum})`)
  return checksum
}
