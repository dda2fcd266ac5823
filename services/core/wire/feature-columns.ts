// Feature rows on the wire of a decision batch stand column by column: all values of the first feature, then all of the second. Values
// of one feature are alike, so they take fewer bytes once compressed. In memory they stand row by row.

import type { DecisionBatch } from './records.ts'

const DOUBLE_BYTES = 8
const STATE_BYTES = 1

/** The batch as it goes on the wire; null when its values are not one row per decision. */
export function withColumns(batch: DecisionBatch): DecisionBatch | null {
  return turned(batch, batch.decisions.length, batch.featureCount)
}

/** The batch as it is in memory; null when its values are not one row per decision. */
export function withRows(batch: DecisionBatch): DecisionBatch | null {
  return turned(batch, batch.featureCount, batch.decisions.length)
}

function turned(batch: DecisionBatch, rows: number, columns: number): DecisionBatch | null {
  const { features, featureStates } = batch
  const cells = rows * columns
  if (features.length !== cells * DOUBLE_BYTES) return null
  if (featureStates !== null && featureStates.length !== cells * STATE_BYTES) return null
  return {
    ...batch,
    features: turnedDoubles(features, rows, columns),
    featureStates: featureStates === null ? null : turnedBytes(featureStates, rows, columns),
  }
}

/** Columns in place of rows. As pairs of whole numbers: a NaN keeps all of its bits. Hot path. */
function turnedDoubles(bytes: Uint8Array, rows: number, columns: number): Buffer {
  // In memory of its own, which begins at a multiple of four bytes.
  const from = new Uint32Array(new Uint8Array(bytes).buffer)
  const to = new Uint32Array(from.length)
  for (let row = 0, at = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, at += 2) {
      const place = 2 * (column * rows + row)
      to[place] = from[at] ?? 0
      to[place + 1] = from[at + 1] ?? 0
    }
  }
  return Buffer.from(to.buffer)
}

function turnedBytes(bytes: Uint8Array, rows: number, columns: number): Buffer {
  const to = Buffer.alloc(bytes.length)
  for (let row = 0, at = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, at += 1) {
      to[column * rows + row] = bytes[at] ?? 0
    }
  }
  return to
}
