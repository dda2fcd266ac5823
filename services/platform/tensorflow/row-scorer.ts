// Raw feature rows to scores on one backend: scaling, the net, calibration. Hot path.

import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { scoreOf } from '../../core/scoring/calibration.ts'
import { compileScaling } from '../../core/scoring/scaling.ts'
import type { ModelFolder } from './model-folder.ts'
import type { OpenBackend } from './open-backend.ts'
import { openNet } from './open-net.ts'
import { openTargetScorer, type TargetScorer } from './target-scorer.ts'

/** Scores rows as a ScoringModel does. */
export interface RowScorer {
  score(rows: Float64Array, rowCount: number): Float64Array | Promise<Float64Array>
  readonly target: TargetScorer | null
  close(): void
}

/** @throws SluiceError SLUICE_MODEL_CORRUPT, or whatever the backend throws. */
export async function openRowScorer(backend: OpenBackend, model: ModelFolder): Promise<RowScorer> {
  const { scaling, calibration } = model.manifest
  const compiled = compileScaling(scaling)
  const { inputCount } = compiled
  const net = await openNet(backend, model, inputCount)
  const target = await openTargetScorer(backend, model)

  /** Runs the net on some rows. What cannot be taken is marked NaN at once, since the inputs are filled again. */
  const run = (rows: Float64Array, scores: Float64Array, start: number, count: number) => {
    for (let row = start; row < start + count; row += 1) {
      const at = (row - start) * inputCount
      const isTaken = compiled.writeRow(rows, row * FEATURE_COUNT, net.inputs, at)
      scores[row] = isTaken ? 0 : NaN
    }
    return net.run(count)
  }

  const take = (logits: Float32Array, scores: Float64Array, start: number, count: number): void => {
    for (let row = start; row < start + count; row += 1) {
      if (Number.isNaN(scores[row])) continue
      scores[row] = scoreOf(logits[row - start] ?? NaN, calibration)
    }
  }

  return {
    score(rows, rowCount) {
      const scores = new Float64Array(rowCount)
      const waits: Promise<void>[] = []
      for (let start = 0; start < rowCount; start += backend.runRowsMax) {
        const count = Math.min(backend.runRowsMax, rowCount - start)
        const logits = run(rows, scores, start, count)
        if (logits instanceof Promise) {
          waits.push(
            logits.then((values) => {
              take(values, scores, start, count)
            }),
          )
        } else take(logits, scores, start, count)
      }
      return waits.length === 0 ? scores : Promise.all(waits).then(() => scores)
    },
    target,
    close: () => {
      net.close()
      target?.close()
    },
  }
}
