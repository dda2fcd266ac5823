// Learnt edges as a manifest holds them.

import type { CodeRamps } from './scaling.ts'
import { corrupt, readNumber, type FieldReader } from './field-reader.ts'

/** Edges of one feature at most, and codes. */
const EDGES_MAX = 64

/** Numbers that ascend, at least `countMin`. `of` says whose they are. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readEdges(
  fields: FieldReader,
  name: string,
  of: string,
  countMin = 0,
): readonly number[] {
  const edges = fields.array(name, EDGES_MAX, readNumber)
  if (
    edges.length >= countMin &&
    edges.every((edge, at) => at === 0 || edge > (edges[at - 1] ?? 0))
  )
    return edges
  throw corrupt(`manifest.json: the "${name}" of ${of} do not ascend`)
}

/** @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readCodeRamps(fields: FieldReader, of: string): CodeRamps {
  const codes = readEdges(fields, 'codes', of)
  const edges = fields.array('edges', EDGES_MAX + 1, (list, path) => {
    if (Array.isArray(list) && list.length >= 2 && list.length <= EDGES_MAX) {
      const numbers = list.map((edge: unknown, at) => readNumber(edge, `${path}[${at}]`))
      if (numbers.every((edge, at) => at === 0 || edge >= (numbers[at - 1] ?? 0))) return numbers
    }
    throw corrupt(`${path} of ${of} is no list of 2 to ${EDGES_MAX} edges that never descend`)
  })
  const length = edges[0]?.length
  if (edges.length === codes.length + 1 && edges.every((each) => each.length === length)) {
    return { codes, edges }
  }
  throw corrupt(`manifest.json: the codes of ${of} need a list of edges each and one for others`)
}
