// Chooses the rows of the golden vectors: spread over all scores, plus the extremes that a row can hold. Their scores
// come from the trainer's own forward pass, not from the code that they will check.

import { SEQUENCE_LENGTH } from '../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../core/features/catalogue/feature-list.ts'
import { scoreOf, compileScaling, type FeatureScaling } from '../core/scoring/scaling.ts'
import { goldenToJson } from '../core/scoring/golden.ts'
import { jsonBytes } from './model-folder.ts'
import type { Made, ScoredPart } from './fit/judge-cascade.ts'
import type { RowSource } from './net/net-passes.ts'
import { valueAt } from './statistics.ts'

export const GOLDEN_ROWS = 128

/** Sequences take much space, so the target has fewer vectors. */
export const TARGET_GOLDEN_ROWS = 48

/** Content of golden.json, for the draft. */
export function draftGolden(made: Made, draft: ScoredPart): Buffer {
  const { rows, scores } = golden(made, draft, GOLDEN_ROWS)
  return jsonBytes(goldenToJson({ rowCount: GOLDEN_ROWS, rows, scores, sequences: null }))
}

/** Content of target-golden.json, for the target. */
export function targetGolden(made: Made, target: ScoredPart): Buffer {
  const { rows, sequences, amountsMinor, scores } = golden(made, target, TARGET_GOLDEN_ROWS)
  return jsonBytes(
    goldenToJson({
      rowCount: TARGET_GOLDEN_ROWS,
      rows,
      scores,
      sequences: { values: sequences, amountsMinor },
    }),
  )
}

function golden(
  { dataset, split, cascade }: Made,
  { part, calibration, test }: ScoredPart,
  rowCount: number,
): RowSource & { readonly scores: Float64Array } {
  const ranked = Array.from(test.scores.keys()).sort(
    (a, b) => valueAt(test.scores, a) - valueAt(test.scores, b) || a - b,
  )
  const order = ranked.map((position) => valueAt(split.test.indices, position))
  const source = goldenRows(dataset, order, cascade.scaling, rowCount)
  const scaling = compileScaling(cascade.scaling)
  const scratch = new Float32Array(scaling.inputCount)
  const taken = Uint32Array.from({ length: rowCount }, (_, row) => row).filter((row) =>
    scaling.writeRow(source.rows, row * FEATURE_COUNT, scratch, 0),
  )
  const scores = new Float64Array(rowCount).fill(NaN)
  for (const [at, logit] of part.net.logits(part.rowsOf(source, taken)).entries()) {
    scores[valueAt(taken, at)] = scoreOf(logit, calibration)
  }
  return { ...source, scores }
}

/** Raw rows, the last of which cannot be scored. `order` lists rows from low to high scores. */
function goldenRows(
  dataset: RowSource,
  order: readonly number[],
  scaling: readonly FeatureScaling[],
  rowCount: number,
): RowSource {
  const baseline = scaling.map(({ absentValue, center }) => absentValue ?? center)
  const edges = [
    ...scaling
      .flatMap(({ absentValue }, feature) => (absentValue === null ? [] : [feature]))
      .map((absent) => baseline.map((value, feature) => (feature === absent ? NaN : value))),
    scaling.map(() => 0),
    scaling.map(() => 1e9),
    scaling.map(() => -1e9),
    scaling.map(({ absentValue }) => (absentValue === null ? 0 : NaN)),
    scaling.map(() => Infinity),
  ].slice(-Math.floor(0.6 * rowCount))
  const chosen = {
    rows: new Float64Array(rowCount * FEATURE_COUNT),
    // Extreme rows have no earlier payments.
    sequences: new Float64Array(rowCount * SEQUENCE_LENGTH).fill(NaN),
    amountsMinor: new Float64Array(rowCount),
    truth: new Uint8Array(rowCount),
  }
  const spread = rowCount - edges.length
  for (let index = 0; index < spread; index += 1) {
    const rank = Math.floor((index * (order.length - 1)) / Math.max(1, spread - 1))
    const row = valueAt(order, rank)
    const features = dataset.rows.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT)
    const from = row * SEQUENCE_LENGTH
    chosen.rows.set(features, index * FEATURE_COUNT)
    chosen.sequences.set(
      dataset.sequences.subarray(from, from + SEQUENCE_LENGTH),
      index * SEQUENCE_LENGTH,
    )
    chosen.amountsMinor[index] = valueAt(dataset.amountsMinor, row)
  }
  for (const [index, edge] of edges.entries()) {
    chosen.rows.set(edge, (spread + index) * FEATURE_COUNT)
  }
  return chosen
}
