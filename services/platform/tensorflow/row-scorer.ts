// Scores rows of one model on one backend: scaling, the net, calibration; for the target of a cascade also the encoded
// sequences. Hot path.

import assert from 'node:assert/strict'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { compileScaling, scoreOf, type Calibration } from '../../core/scoring/scaling.ts'
import type { ModelFolder } from './model-folder.ts'
import type { OpenBackend } from './open-backend.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { compileSequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import type { VerifiableRows, Verifier } from '../../core/scoring/scoring-model.ts'
import { openSequenceNet } from './sequence-net.ts'
import { openDenseNet, type ScoringNet } from './dense-net.ts'

/** Scores rows as a ScoringModel does. */
export interface RowScorer {
  score(rows: Float64Array, rowCount: number): Float64Array | Promise<Float64Array>
  readonly target: TargetScorer | null
  close(): void
}

/** Opens a model on a backend. @throws SluiceError SLUICE_MODEL_CORRUPT, or whatever the backend throws. */
export async function openRowScorer(backend: OpenBackend, model: ModelFolder): Promise<RowScorer> {
  const { scaling, calibration } = model.manifest
  const compiled = compileScaling(scaling)
  const { inputCount } = compiled
  const net = await openNet(backend, model, inputCount)
  const target = await openTargetScorer(backend, model)

  /**
   * Runs the net on some rows. Rows that are not acceptable are marked NaN at once, since the inputs are refilled.
   */
  const run = (rows: Float64Array, scores: Float64Array, start: number, count: number) => {
    for (let row = start; row < start + count; row += 1) {
      const at = (row - start) * inputCount
      const isTaken = compiled.writeRow(rows, row * FEATURE_COUNT, net.inputs, at)
      scores[row] = isTaken ? 0 : NaN
    }
    return net.run(count)
  }

  const take = (logits: Float32Array, scores: Float64Array, start: number, count: number): void => {
    takeScores(logits, scores, start, count, calibration)
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

/** Makes scores of logits. Rows that were refused stay NaN, as do those without a logit. */
export function takeScores(
  logits: Float32Array,
  scores: Float64Array,
  start: number,
  count: number,
  calibration: Calibration,
): void {
  assert(logits.length >= count, 'The net answers for every row.')
  for (let at = 0; at < count; at += 1) {
    if (Number.isNaN(scores[start + at])) continue
    scores[start + at] = scoreOf(logits[at] as number, calibration)
  }
}

export interface TargetScorer extends Verifier {
  close(): void
}

/**
 * Opens the target of a cascade; null for a model of one net.
 * @throws SluiceError SLUICE_MODEL_CORRUPT, or whatever the backend throws.
 */
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
      const amountMinor = amountsMinor[sequence]
      assert(amountMinor !== undefined, 'Every row has an amount.')
      encoding.write(
        amountMinor,
        sequences,
        sequence * SEQUENCE_LENGTH,
        net.events,
        (sequence - first) * encoding.inputCount,
      )
    }
    // Started synchronously, so that the inputs are not refilled before they are read.
    const running =
      sequenceOf === undefined
        ? net.run(count)
        : net.runShared(
            Int32Array.from(sequenceOf.subarray(start, start + count), (at) => at - first),
            end - first,
          )
    const logits = running instanceof Promise ? await running : running
    takeScores(logits, scores, start, count, target.calibration)
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

/**
 * Opens the net of a model on a backend. A further kind of net is a further case here.
 * @throws SluiceError SLUICE_MODEL_CORRUPT when the files do not hold a net of this shape.
 */
export function openNet(
  backend: OpenBackend,
  { net }: Pick<ModelFolder, 'net'>,
  inputCount: number,
): Promise<ScoringNet> {
  return openDenseNet(backend, net, inputCount)
}
