// The target of a cascade on one backend: scaled features, encoded sequences, the net, calibration.

import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { scoreOf } from '../../core/scoring/calibration.ts'
import { compileScaling } from '../../core/scoring/scaling.ts'
import { compileSequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import type { VerifiableRows, Verifier } from '../../core/scoring/scoring-model.ts'
import type { ModelFolder } from './model-folder.ts'
import type { OpenBackend } from './open-backend.ts'
import { openSequenceNet } from './sequence-net.ts'

export interface TargetScorer extends Verifier {
  close(): void
}

/** Null for a model of one net. @throws SluiceError SLUICE_MODEL_CORRUPT, or whatever the backend throws. */
export async function openTargetScorer(
  backend: OpenBackend,
  { manifest, target: files }: ModelFolder,
): Promise<TargetScorer | null> {
  const { target } = manifest
  if (target === null || files === null) return null
  const scaling = compileScaling(manifest.scaling)
  const encoding = compileSequenceEncoding(target.encoding)
  const net = await openSequenceNet(
    backend,
    files.net,
    target,
    scaling.inputCount,
    encoding.eventInputs,
  )
  /** Scores the rows from `start` on into `scores`. */
  const scorePart = async (
    { rows, sequences, amountsMinor, sequenceOf }: VerifiableRows,
    scores: Float64Array,
    start: number,
    count: number,
  ): Promise<void> => {
    for (let row = start; row < start + count; row += 1) {
      const at = row - start
      const isTaken = scaling.writeRow(
        rows,
        row * FEATURE_COUNT,
        net.features,
        at * scaling.inputCount,
      )
      scores[row] = isTaken ? 0 : NaN
    }
    const first = sequenceOf?.[start] ?? start
    const end = (sequenceOf?.[start + count - 1] ?? start + count - 1) + 1
    for (let sequence = first; sequence < end; sequence += 1) {
      encoding.write(
        amountsMinor[sequence] ?? 0,
        sequences,
        sequence * SEQUENCE_LENGTH,
        net.events,
        (sequence - first) * encoding.inputCount,
      )
    }
    // Asked at once, so that nobody fills the inputs again before they are read.
    const running =
      sequenceOf === undefined
        ? net.run(count)
        : net.runShared(
            Int32Array.from(sequenceOf.subarray(start, start + count), (at) => at - first),
            end - first,
          )
    const logits = running instanceof Promise ? await running : running
    for (let row = start; row < start + count; row += 1) {
      if (Number.isNaN(scores[row])) continue
      scores[row] = scoreOf(logits[row - start] ?? NaN, target.calibration)
    }
  }
  return {
    verifyFrom: target.verifyFrom,
    sampleShare: target.sampleShare,
    async score(rows, rowCount) {
      const scores = new Float64Array(rowCount)
      for (let start = 0; start < rowCount; start += net.runRowsMax) {
        await scorePart(rows, scores, start, Math.min(net.runRowsMax, rowCount - start))
      }
      return scores
    },
    close: () => {
      net.close()
    },
  }
}
