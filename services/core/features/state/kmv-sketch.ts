// KMV sketch (k minimum values) of a set of hashes: all of them up to k, an estimate of their number above.
//
// Bar-Yossef et al., "Counting distinct elements in a data stream" (RANDOM 2002), first algorithm; estimator (k - 1) /
// v_k as in Beyer et al., "On synopses for distinct-value estimation under multiset operations" (SIGMOD 2007): unbiased
// for hashes that are uniform in (0, 1), with a relative standard error of about 1 / sqrt(k - 2). The sketch depends on
// the set alone, not on the order of insertion, and two sketches can be merged.

/** Maximum hashes in a sketch: up to this many distinct ones are counted exactly; above, the error is about 18 %. */
export const SMALLEST_MAX = 32

const HASH_RANGE = 2 ** 32

export class KmvSketch {
  /** Ascending, distinct, at most SMALLEST_MAX. */
  readonly hashes: number[] = []
  /** True once a hash was dropped. */
  isSaturated = false

  clear(): void {
    this.hashes.length = 0
    this.isSaturated = false
  }

  add(hash: number): void {
    const { hashes } = this
    let position = hashes.length
    while (position > 0 && (hashes[position - 1] ?? 0) > hash) position -= 1
    if (hashes[position - 1] === hash) return
    if (position === SMALLEST_MAX) {
      this.isSaturated = true
      return
    }
    hashes.splice(position, 0, hash)
    if (hashes.length > SMALLEST_MAX) {
      hashes.pop()
      this.isSaturated = true
    }
  }
}

/** Estimates the number of distinct hashes from the union of sketches, some of which are saturated. */
export function estimateDistinct(hashes: readonly number[]): number {
  const smallest = hashes.toSorted((a, b) => a - b).slice(0, SMALLEST_MAX)
  const last = smallest.at(-1) ?? 0
  if (smallest.length < SMALLEST_MAX || last === 0) return smallest.length
  return Math.max(SMALLEST_MAX, ((SMALLEST_MAX - 1) * HASH_RANGE) / last)
}
