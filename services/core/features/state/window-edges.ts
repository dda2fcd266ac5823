// Where the windows of an entity begin and end among its events, as found last. From one transaction to the next an end
// moves by an event or two, and in a part that is one of several it mostly stays: then no event is looked at at all.

import { LINE_NUMBERS } from './prefetch.ts'
import { ENTITY_STRIDE } from './entity-event.ts'

/** Numbers per edge: how many events lie before it, and the times from which and up to which that is so. */
const STRIDE = 3
const EDGES_AT_FIRST = 4

/** Rows in order of time, and what was found in them; null for nothing, as after a change elsewhere than at the end. */
export interface EdgedRows {
  readonly data: Float64Array
  readonly count: number
  edges: Float64Array | null
}

/** How many of the rows are at or before this time. `edge` tells apart what is looked for again and again. Hot path. */
export function countTo(rows: EdgedRows, timeMs: number, edge: number): number {
  const { edges, count } = rows
  const at = edge * STRIDE
  if (edges === null || at >= edges.length) return look(rows, timeMs, edge, count)
  const known = edges[at] ?? 0
  if (timeMs >= (edges[at + 1] ?? 0) && timeMs < (edges[at + 2] ?? 0)) return known
  return look(rows, timeMs, edge, Math.min(known, count))
}

/** Reads a little of all edges: see prefetch.ts. Hot path. */
export function touchEdges(edges: Float64Array): number {
  const last = edges.length - 1
  let touched = edges[last] ?? 0
  for (let at = 0; at < last; at += LINE_NUMBERS) touched += edges[at] ?? 0
  return touched
}

/** Reads a little of the rows where the edges lie. Hot path. */
export function touchRowsAt(data: Float64Array, edges: Float64Array): number {
  let touched = 0
  for (let at = 0; at < edges.length; at += STRIDE) {
    touched += data[(edges[at] ?? 0) * ENTITY_STRIDE] ?? 0
  }
  return touched
}

function look(rows: EdgedRows, timeMs: number, edge: number, near: number): number {
  const { data, count } = rows
  const index = search(data, count, timeMs, near)
  const edges = roomFor(edge, rows)
  const at = edge * STRIDE
  edges[at] = index
  edges[at + 1] = index === 0 ? -Infinity : (data[(index - 1) * ENTITY_STRIDE] ?? 0)
  // At the end the next event may be anywhere.
  edges[at + 2] = index === count ? -Infinity : (data[index * ENTITY_STRIDE] ?? 0)
  return index
}

function roomFor(edge: number, rows: EdgedRows): Float64Array {
  const edges = rows.edges ?? new Float64Array(EDGES_AT_FIRST * STRIDE)
  if ((edge + 1) * STRIDE <= edges.length) return (rows.edges = edges)
  const larger = new Float64Array(2 * (edge + 1) * STRIDE)
  larger.set(edges)
  return (rows.edges = larger)
}

/** Looks from `near` on, in steps that double, then by bisection. */
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
