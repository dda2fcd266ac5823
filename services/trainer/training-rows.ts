// Rows of a dataset as a net reads them: scaled features and encoded sequences, written when a batch needs them.

import { FEATURE_COUNT } from '../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH } from '../core/features/engine/card-sequence.ts'
import type { CompiledScaling } from '../core/scoring/scaling.ts'
import type { CompiledSequenceEncoding } from '../core/scoring/sequence-encoding.ts'
import type { NetRows } from './net-passes.ts'

/** Where rows come from; arrays are by row. */
export interface RowSource {
  /** FEATURE_COUNT raw values a row. */
  readonly rows: Float64Array
  /** SEQUENCE_LENGTH numbers a row. */
  readonly sequences: Float64Array
  /** Minor units of the reference currency. */
  readonly amountsMinor: Float64Array
  readonly truth: Uint8Array
}

/** The rows at `indices`. `encoding` null is for a net without sequences. */
export function trainingRows(
  { rows, sequences, amountsMinor, truth }: RowSource,
  indices: Uint32Array,
  scaling: CompiledScaling,
  encoding: CompiledSequenceEncoding | null,
): NetRows {
  return {
    count: indices.length,
    truth: Uint8Array.from(indices, (row) => truth[row] ?? 0),
    writeInputs(index, out, position) {
      const row = indices[index] ?? 0
      if (scaling.writeRow(rows, row * FEATURE_COUNT, out, position)) return
      throw new Error(`Row ${row} holds a value that no feature can have.`)
    },
    writeEvents:
      encoding === null
        ? null
        : (index, out, position) => {
            const row = indices[index] ?? 0
            const amountMinor = amountsMinor[row] ?? 0
            encoding.write(amountMinor, sequences, row * SEQUENCE_LENGTH, out, position)
          },
  }
}
