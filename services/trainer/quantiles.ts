// Quantiles of sorted values, as they stand: no value is made up between two.

/** The value below which this share lies; 0 without values. */
export function quantileOf(ascending: Float64Array, share: number): number {
  return ascending[Math.floor((ascending.length - 1) * share)] ?? 0
}

/** The quantiles at ascending shares, each value once. */
export function distinctQuantiles(
  ascending: Float64Array,
  shares: readonly number[],
): readonly number[] {
  return [...new Set(shares.map((share) => quantileOf(ascending, share)))]
}
