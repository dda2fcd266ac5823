// Brings values near before they are worked on: from memory into the caches of the processor.
//
// The values of thousands of cards do not fit there, and to get at the rows of one takes several steps that wait for
// one another: the value, the objects that it holds, the rows. Value by value these waits add up; step by step for some
// dozens of values they overlap, since the steps of one do not wait for those of another. This is group prefetching
// (S. Chen, A. Ailamaki, P. B. Gibbons, T. C. Mowry: Improving Hash Join Performance through Prefetching, ICDE 2004).
// JavaScript has no instruction that only fetches, so a little is read.

/** Values at a time: enough for waits to overlap, few enough for all of theirs to stay near until it is their turn. */
export const NEAR_MAX = 64

/**
 * Bytes that a processor fetches at a time, and how many numbers that is. Of what lies side by side one number in each of
 * these is read, and the last.
 */
const LINE_BYTES = 64
export const LINE_NUMBERS = LINE_BYTES / Float64Array.BYTES_PER_ELEMENT

/** A value of which a little can be read, a step at a time. What the methods return means nothing. */
export interface Touchable {
  /** Reads of its own fields, the first and the last. */
  touchSelf(): number
  /** Reads of the objects that it holds. */
  touchParts(): number
  /** Reads of the rows that a reading looks at. */
  touchRows(): number
  /** Reads of what those rows lead to. */
  prefetchFar(): number
  /** Reads of what is looked at where the newest row is written to the store. */
  touchNewest(): number
}

/** Takes what was read, so that an engine cannot leave the reading out. Nobody looks at it. */
const sink = new Float64Array(1)

/** Brings the first `count` values near, to be read. Hot path. */
export function prefetch(values: readonly Touchable[], count: number): void {
  let touched = 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchSelf() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchParts() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.touchRows() ?? 0
  for (let index = 0; index < count; index += 1) touched += values[index]?.prefetchFar() ?? 0
  sink[0] = touched
}

/** Calls `work` with each value in turn, brought near to be written; places without a value are left out. Hot path. */
export function forEachNear<Value extends Touchable>(
  places: readonly number[],
  valueAt: (place: number) => Value | undefined,
  work: (value: Value, place: number) => void,
): void {
  const near: (Value | undefined)[] = []
  for (let from = 0; from < places.length; from += NEAR_MAX) {
    const count = Math.min(NEAR_MAX, places.length - from)
    let touched = 0
    for (let index = 0; index < count; index += 1) {
      near[index] = valueAt(places[from + index] ?? -1)
      touched += near[index]?.touchSelf() ?? 0
    }
    for (let index = 0; index < count; index += 1) touched += near[index]?.touchParts() ?? 0
    for (let index = 0; index < count; index += 1) touched += near[index]?.touchNewest() ?? 0
    sink[0] = touched
    for (let index = 0; index < count; index += 1) {
      const value = near[index]
      if (value !== undefined) work(value, places[from + index] ?? -1)
    }
  }
}
