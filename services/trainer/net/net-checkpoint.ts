// The state of a net between two epochs of its training, so that a run that was killed continues with the same bits. A
// file holds one line of JSON, the numbers, and a digest over both, which exposes a truncated file.

import { createHash } from 'node:crypto'
import type { Variable } from '@tensorflow/tfjs'
import { damaged, type RunFile } from '../run-folder.ts'
import { variablesOf, type Optimizer, type Run } from './net-passes.ts'

/** Result of one epoch. */
export interface EpochFigures {
  readonly epoch: number
  readonly loss: number
  /** Null without validation rows. */
  readonly validationPrecision: number | null
  readonly seconds: number
}

/** The complete state from which the next epoch continues. */
export interface NetCheckpoint {
  readonly epochs: readonly EpochFigures[]
  readonly bestEpoch: number
  readonly bestPrecision: number
  /** Training has ended; only the best weights are stored then. */
  readonly isDone: boolean
  readonly best: readonly Float32Array[]
  readonly average: readonly Float32Array[]
  readonly own: readonly Float32Array[]
  readonly optimizer: OptimizerState | null
}

/** Storage for the progress of one net. */
export interface CheckpointStore {
  /** Null before the first epoch. */
  read(): Promise<NetCheckpoint | null>
  write(kept: NetCheckpoint): Promise<void>
}

/** Stores a net in a file of the run. @throws SluiceError SLUICE_USAGE when the file is damaged. */
export function checkpointStore(file: RunFile): CheckpointStore {
  return {
    async read() {
      const bytes = await file.read()
      if (bytes === null) return null
      const kept = decodeCheckpoint(bytes)
      if (kept === null) throw damaged(file.path)
      return kept
    },
    write: (kept) => file.write(encodeCheckpoint(kept)),
  }
}

const DIGEST_BYTES = 32
const LINE_FEED = 0x0a

const ARRAYS = ['best', 'average', 'own', 'moments'] as const

interface Head extends Omit<NetCheckpoint, 'best' | 'average' | 'own' | 'optimizer'> {
  readonly optimizer: Omit<OptimizerState, 'moments'> | null
  /** Lengths of the arrays that follow. */
  readonly lengths: Readonly<Record<(typeof ARRAYS)[number], readonly number[]>>
}

/** Encodes the state as the bytes of a file. */
export function encodeCheckpoint({
  best,
  average,
  own,
  optimizer,
  ...rest
}: NetCheckpoint): Buffer {
  const arrays = { best, average, own, moments: optimizer?.moments ?? [] }
  const lengthsOf = (values: readonly Float32Array[]): readonly number[] =>
    values.map(({ length }) => length)
  const head: Head = {
    ...rest,
    optimizer: optimizer === null ? null : { steps: optimizer.steps, powers: optimizer.powers },
    lengths: {
      best: lengthsOf(best),
      average: lengthsOf(average),
      own: lengthsOf(own),
      moments: lengthsOf(arrays.moments),
    },
  }
  const numbers = ARRAYS.flatMap((name) => arrays[name]).map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  )
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), ...numbers])
  return Buffer.concat([content, digestOf(content)])
}

/** Decodes the bytes of `encodeCheckpoint`; null when they are not complete. */
export function decodeCheckpoint(bytes: Buffer): NetCheckpoint | null {
  const content = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_BYTES))
  if (!digestOf(content).equals(bytes.subarray(content.length))) return null
  const end = content.indexOf(LINE_FEED)
  // The digest guarantees that we wrote these bytes.
  const { lengths, optimizer, ...rest } = JSON.parse(content.toString('utf8', 0, end)) as Head
  const numbers = new Float32Array(Uint8Array.from(content.subarray(end + 1)).buffer)
  let at = 0
  const take = (name: (typeof ARRAYS)[number]): readonly Float32Array[] =>
    lengths[name].map((length) => numbers.slice(at, (at += length)))
  const best = take('best')
  const average = take('average')
  const own = take('own')
  const moments = take('moments')
  return {
    ...rest,
    best,
    average,
    own,
    optimizer: optimizer === null ? null : { ...optimizer, moments },
  }
}

function digestOf(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest()
}

export interface OptimizerState {
  readonly steps: number
  /**
   * Powers of the two decay rates after these steps, as the optimizer holds them. TensorFlow.js would recompute them
   * from the number of steps, but training multiplies them step by step, which differs in the last bits.
   */
  readonly powers: readonly [number, number]
  /** First moments of all variables, followed by the second moments. */
  readonly moments: readonly Float32Array[]
}

/** Fields that hold the powers in this version of TensorFlow.js; no method returns them. */
interface Powers {
  readonly accBeta1: Variable
  readonly accBeta2: Variable
}

export async function optimizerState(optimizer: Optimizer): Promise<OptimizerState> {
  const [steps, ...moments] = await optimizer.getWeights()
  const { accBeta1, accBeta2 } = optimizer as unknown as Powers
  const state: OptimizerState = {
    steps: numberIn(await steps?.tensor.data()),
    powers: [numberIn(accBeta1.dataSync()), numberIn(accBeta2.dataSync())],
    moments: moments.map(({ tensor }) => tensor.dataSync<'float32'>().slice()),
  }
  // The number of steps was created for this call; the moments belong to the optimizer.
  steps?.tensor.dispose()
  return state
}

/** Restores the state of an optimizer that has not made a step yet. */
export async function restoreOptimizer(
  run: Run,
  optimizer: Optimizer,
  { steps, powers, moments }: OptimizerState,
): Promise<void> {
  const { tf } = run.backend
  const variables = variablesOf(run)
  const tensors = [
    tf.scalar(steps, 'int32'),
    ...moments.map((values, at) => tf.tensor(values, variables[at % variables.length]?.shape)),
  ]
  await optimizer.setWeights(tensors.map((tensor, at) => ({ name: `state_${at}`, tensor })))
  for (const tensor of tensors) tensor.dispose()
  const { accBeta1, accBeta2 } = optimizer as unknown as Powers
  tf.tidy(() => {
    accBeta1.assign(tf.scalar(powers[0]))
    accBeta2.assign(tf.scalar(powers[1]))
  })
}

function numberIn(values: ArrayLike<number> | undefined): number {
  const value = values?.[0]
  if (value === undefined) throw new Error('The optimizer gave out no state.')
  return value
}
