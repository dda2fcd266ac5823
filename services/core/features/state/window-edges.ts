// Cached start and end positions of windows among an entity's events. From one transaction to the next an edge moves by
// an event or two, and in one of several partial aggregates it mostly stays: then no event is read at all.

import { LINE_NUMBERS } from './prefetch.ts'
import { ENTITY_STRIDE } from './entity-event.ts'

/** Numbers per edge: the number of events before it, and the range of times for which that number holds. */
const STRIDE = 3
const EDGES_INITIAL = 4

/** Rows in order of time, and the edges found in them; null for none, as after a change other than at the end. */
export interface EdgedRows {
  readonly data: Float64Array
  readonly count: number
  edges: Float64Array | null
}

/** Number of rows at or before this time. `edge` is the slot of the cached position. Hot path. */
export function countTo(rows: EdgedRows, timeMs: number, edge: number): number {
  const { edges, count } = rows
  const at = edge * STRIDE
  if (edges === null || at >= edges.length) return findEdge(rows, timeMs, edge, count)
  const known = edges[at] ?? 0
  if (timeMs >= (edges[at + 1] ?? 0) && timeMs < (edges[at + 2] ?? 0)) return known
  return findEdge(rows, timeMs, edge, Math.min(known, count))
}

/** Reads one number per cache line of the edges: see prefetch.ts. Hot path. */
export function touchEdges(edges: Float64Array): number {
  const last = edges.length - 1
  let touched = edges[last] ?? 0
  for (let at = 0; at < last; at += LINE_NUMBERS) touched += edges[at] ?? 0
  return touched
}

/** Reads one number of each row at an edge. Hot path. */
export function touchRowsAt(data: Float64Array, edges: Float64Array): number {
  let touched = 0
  for (let at = 0; at < edges.length; at += STRIDE) {
    touched += data[(edges[at] ?? 0) * ENTITY_STRIDE] ?? 0
  }
  return touched
}

function findEdge(rows: EdgedRows, timeMs: number, edge: number, near: number): number {
  const { data, count } = rows
  const index = search(data, count, timeMs, near)
  const edges = roomFor(edge, rows)
  const at = edge * STRIDE
  edges[at] = index
  edges[at + 1] = index === 0 ? -Infinity : (data[(index - 1) * ENTITY_STRIDE] ?? 0)
  // After the last event the next one can have any time.
  edges[at + 2] = index === count ? -Infinity : (data[index * ENTITY_STRIDE] ?? 0)
  return index
}

function roomFor(edge: number, rows: EdgedRows): Float64Array {
  const edges = rows.edges ?? new Float64Array(EDGES_INITIAL * STRIDE)
  if ((edge + 1) * STRIDE <= edges.length) return (rows.edges = edges)
  const larger = new Float64Array(2 * (edge + 1) * STRIDE)
  larger.set(edges)
  return (rows.edges = larger)
}

/** Exponential search from `near` in both directions, then bisection. */
function search(rows: Float64Array, count: number, timeMs: number, near: number): number {
  let low = near
  let high = near
  let step = 1
  if (low < count && (rows[low * ENTITY_STRIDE] ?? 0) <= timeMs) {
    while (high < count && (rows[high * ENTITY_STRIDE] ?? 0) <= timeMs) {
      low = high + 1
      high += step
      step *= 2
    }
    if (high > count) high = count
  } else {
    while (low > 0 && (rows[(low - 1) * ENTITY_STRIDE] ?? 0) > timeMs) {
      high = low - 1
      low -= step
      step *= 2
    }
    if (low < 0) low = 0
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle * ENTITY_STRIDE] ?? 0) <= timeMs) low = middle + 1
    else high = middle
  }
  return low
}
