// Group prefetching: reads values from memory into the processor's caches before they are used.
//
// The values of thousands of cards do not fit into the caches. Reaching the rows of one value takes several dependent
// loads: the value, its objects, the rows. One value at a time, these latencies add up. Step by step for dozens of
// values they overlap, since the loads of one value do not depend on those of another (S. Chen, A. Ailamaki, P. B.
// Gibbons, T. C. Mowry: Improving Hash Join Performance through Prefetching, ICDE 2004). JavaScript has no prefetch
// instruction, so a few numbers are read.

/**
 * Group size: enough values for latencies to overlap, few enough for all of them to stay cached until they are used.
 */
export const GROUP_MAX = 64

/**
 * Size of a cache line in bytes, and in numbers. From contiguous data, one number per line and the last number are
 * read.
 */
const LINE_BYTES = 64
export const LINE_NUMBERS = LINE_BYTES / Float64Array.BYTES_PER_ELEMENT

/** A value that can be prefetched one step at a time. The returned numbers have no meaning. */
export interface Touchable {
  /** Reads its own fields, the first and the last. */
  touchSelf(): number
  /** Reads the objects that it holds. */
  touchParts(): number
  /** Reads the rows that the aggregates need. */
  touchRows(): number
  /** Reads the data that those rows refer to. */
  prefetchFar(): number
  /** Reads what encoding the newest row needs. */
  touchNewest(): number
}

/** Consumes the numbers read, so that the engine cannot eliminate the reads. */
const sink = new Float64Array(1)

/** Prefetches the first `count` values for reading. Hot path. */
export function prefetch(values: readonly Touchable[], count: number): void {
  let touched = 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchSelf() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchParts() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchRows() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.prefetchFar() ?? 0
  sink[0] = touched
}

/** Calls `work` with each value in turn, prefetched for writing; indexes without a value are skipped. Hot path. */
export function forEachPrefetched<Value extends Touchable>(
  indexes: readonly number[],
  valueAt: (index: number) => Value | undefined,
  work: (value: Value, index: number) => void,
): void {
  const group: (Value | undefined)[] = []
  for (let from = 0; from < indexes.length; from += GROUP_MAX) {
    const count = Math.min(GROUP_MAX, indexes.length - from)
    let touched = 0
    for (let index = 0; index < count; index += 1) {
      group[index] = valueAt(indexes[from + index] ?? -1)
      touched += group[index]?.touchSelf() ?? 0
    }
    for (let index = 0; index < count; index += 1) touched += group[index]?.touchParts() ?? 0
    for (let index = 0; index < count; index += 1) touched += group[index]?.touchNewest() ?? 0
    sink[0] = touched
    for (let index = 0; index < count; index += 1) {
      const value = group[index]
      if (value !== undefined) work(value, indexes[from + index] ?? -1)
    }
  }
}
