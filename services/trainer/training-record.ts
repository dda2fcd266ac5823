// What is kept of how a cascade was trained: training.json for programs, curves.svg for people.

import { jsonBytes } from './net-files.ts'
import type { PartMetrics } from './release.ts'
import type { TrainedCascade } from './train-cascade.ts'
import { CURVES_FILE, trainingCurves } from './training-curves.ts'

/** Both files by path. Times differ from run to run, so none are in them. */
export function trainingRecord(
  cascade: TrainedCascade,
  parts: PartMetrics,
): Readonly<Record<string, Buffer>> {
  const curves = (['draft', 'target'] as const).map((name) => {
    const { bestEpoch, epochs } = cascade[name].net
    return {
      name,
      bestEpoch,
      epochs: epochs.map(({ epoch, loss, validationPrecision }) => ({
        epoch,
        loss,
        validationPrecision,
      })),
    }
  })
  const epochs = Object.fromEntries(curves.map((curve) => [curve.name, curve.epochs]))
  return {
    'training.json': jsonBytes({ parts, epochs }),
    [CURVES_FILE]: Buffer.from(trainingCurves(curves)),
  }
}
