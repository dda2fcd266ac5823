// Nets that `sluice bench backends` measures: model folders, and nets of given widths with random weights. To add a
// kind of net, add a function here.

import { resolve } from 'node:path'
import { SEQUENCE_LENGTH } from '../../services/core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import type { Backend } from '../../services/core/scoring/scoring-model.ts'
import { openDenseNet, type NetFiles } from '../../services/platform/tensorflow/dense-net.ts'
import { BackendProblem, openBackend } from '../../services/platform/tensorflow/load-tensorflow.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import { simulatedRows } from './scoring-bench.ts'

/** Something that scores rows of numbers. */
export interface OpenBenchNet {
  /** Device and library, as text. */
  readonly detail: string
  readonly isOnGpu: boolean
  /** Scores `count` of the rows that it was created with, from `start` on. */
  run(start: number, count: number): ArrayLike<number> | Promise<ArrayLike<number>>
  close(): void
}

export interface BenchNet {
  readonly name: string
  /** @throws SluiceError SLUICE_BACKEND_UNAVAILABLE, BackendProblem */
  readonly open: (backend: Backend) => Promise<OpenBenchNet>
}

/**
 * The net that scores every payment, which is the first stage of a cascade: raw features, scaling, net, calibration. `name`
 * is the folder unless given.
 */
export function modelNet(folder: string, rowCount: number, name = folder): BenchNet {
  const { rows } = simulatedRows(rowCount)
  return {
    name,
    async open(backend) {
      const model = await openScoringModel({ folder: resolve(repositoryRoot(), folder), backend })
      return {
        detail: model.info.backendDetail,
        isOnGpu: model.info.isOnGpu,
        run: (start, count) =>
          model.score(rows.subarray(start * FEATURE_COUNT, (start + count) * FEATURE_COUNT), count),
        close: () => {
          model.close()
        },
      }
    },
  }
}

/** The second stage of a cascade, with the earlier payments that it reads. */
export function secondStageNet(folder: string, rowCount: number, name: string): BenchNet {
  const { rows, sequences, amountsMinor } = simulatedRows(rowCount)
  return {
    name,
    async open(backend) {
      const model = await openScoringModel({ folder: resolve(repositoryRoot(), folder), backend })
      const { verifier } = model
      if (verifier === null) throw new Error(`${folder} has no second stage.`)
      return {
        detail: model.info.backendDetail,
        isOnGpu: model.info.isOnGpu,
        run: (start, count) => {
          const end = start + count
          return verifier.score(
            {
              rows: rows.subarray(start * FEATURE_COUNT, end * FEATURE_COUNT),
              sequences: sequences.subarray(start * SEQUENCE_LENGTH, end * SEQUENCE_LENGTH),
              amountsMinor: amountsMinor.subarray(start, end),
            },
            count,
          )
        },
        close: () => {
          model.close()
        },
      }
    },
  }
}

/** Dense layers of these widths, inputs first: the net alone, on prepared inputs. */
export function denseNet(widths: readonly number[], rowCount: number): BenchNet {
  const [inputCount = 1] = widths
  const inputs = pseudoRandom(rowCount * inputCount)
  return {
    name: `dense ${widths.join('-')}`,
    async open(backend) {
      if (backend === 'compiled') throw new BackendProblem(null, 'it scores whole models only')
      const open = await openBackend(backend)
      const net = await openDenseNet(open, denseFiles(widths), inputCount)
      const outputs = new Float32Array(rowCount)
      const { runRowsMax } = open
      return {
        detail: open.detail,
        isOnGpu: open.isOnGpu,
        run(start, count) {
          const waits: Promise<void>[] = []
          for (let at = 0; at < count; at += runRowsMax) {
            const size = Math.min(runRowsMax, count - at)
            const from = (start + at) * inputCount
            net.inputs.set(inputs.subarray(from, from + size * inputCount))
            const values = net.run(size)
            const place = (found: Float32Array): void => {
              outputs.set(found.subarray(0, size), at)
            }
            if (values instanceof Promise) waits.push(values.then(place))
            else place(values)
          }
          const whole = outputs.subarray(0, count)
          return waits.length === 0 ? whole : Promise.all(waits).then(() => whole)
        },
        close: () => {
          net.close()
        },
      }
    },
  }
}

/** A net as TensorFlow.js stores it. */
function denseFiles(widths: readonly number[]): NetFiles {
  const layers = widths.slice(1).map((units, index) => {
    const inputs = widths[index] ?? 1
    const name = `dense_${index + 1}`
    const isLast = index === widths.length - 2
    const config = {
      name,
      units,
      use_bias: true,
      activation: isLast ? 'linear' : 'relu',
      ...(index === 0 ? { batch_input_shape: [null, inputs], dtype: 'float32' } : {}),
    }
    const kernel = pseudoRandom(inputs * units).map((value) => value / Math.sqrt(inputs))
    const weights = [
      { name: `${name}/kernel`, shape: [inputs, units], dtype: 'float32' },
      { name: `${name}/bias`, shape: [units], dtype: 'float32' },
    ]
    return {
      layer: { class_name: 'Dense', config },
      weights,
      values: [kernel, pseudoRandom(units)],
    }
  })
  return {
    model: {
      modelTopology: {
        class_name: 'Sequential',
        config: { name: 'bench', layers: layers.map(({ layer }) => layer) },
      },
      weightsManifest: [{ weights: layers.flatMap(({ weights }) => weights) }],
    },
    weights: Buffer.concat(
      layers.flatMap(({ values }) =>
        values.map(({ buffer, byteOffset, byteLength }) =>
          Buffer.from(buffer, byteOffset, byteLength),
        ),
      ),
    ),
  }
}

/** Numbers between -1 and 1, the same in every run. */
function pseudoRandom(count: number): Float32Array {
  let state = 1
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  })
}
