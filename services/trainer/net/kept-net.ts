// The state of a net between two epochs of its training, so that a run that was killed continues with the same bits. A
// file holds one line of JSON, the numbers, and a digest over both, which tells a truncated file from a whole one.

import { createHash } from 'node:crypto'
import type { Variable } from '@tensorflow/tfjs'
import { variablesOf, type Optimizer, type Run } from './net-passes.ts'

/** What came of one epoch. */
export interface EpochFigures {
  readonly epoch: number
  readonly loss: number
  /** Null without validation rows. */
  readonly validationPrecision: number | null
  readonly seconds: number
}

/** All that the next epoch rests on. */
export interface KeptNet {
  readonly epochs: readonly EpochFigures[]
  readonly bestEpoch: number
  readonly bestPrecision: number
  /** Nothing is to be trained any more; then only the best weights are kept. */
  readonly isDone: boolean
  readonly best: readonly Float32Array[]
  readonly average: readonly Float32Array[]
  readonly own: readonly Float32Array[]
  readonly optimizer: OptimizerState | null
}

/** Where the progress of one net is kept. */
export interface NetKeeper {
  /** Null before the first epoch. */
  read(): Promise<KeptNet | null>
  write(kept: KeptNet): Promise<void>
}

const DIGEST_BYTES = 32
const LINE_FEED = 0x0a

const ARRAYS = ['best', 'average', 'own', 'moments'] as const

interface Head extends Omit<KeptNet, 'best' | 'average' | 'own' | 'optimizer'> {
  readonly optimizer: Omit<OptimizerState, 'moments'> | null
  /** Lengths of the arrays that follow. */
  readonly lengths: Readonly<Record<(typeof ARRAYS)[number], readonly number[]>>
}

/** The bytes of a file. */
export function encodeKeptNet({ best, average, own, optimizer, ...rest }: KeptNet): Buffer {
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

/** Reads what `encodeKeptNet` wrote; null when it is not whole. */
export function decodeKeptNet(bytes: Buffer): KeptNet | null {
  const content = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_BYTES))
  if (!digestOf(content).equals(bytes.subarray(content.length))) return null
  const end = content.indexOf(LINE_FEED)
  // The digest says that these are the bytes that we wrote.
  const { lengths, optimizer, ...rest } = JSON.parse(content.toString('utf8', 0, end)) as Head
  const numbers = new Float32Array(Uint8Array.from(content.subarray(end + 1)).buffer)
  let at = 0
  const take = (name: (typeof ARRAYS)[number]): readonly Float32Array[] =>
    lengths[name].map((length) => numbers.slice(at, (at += length)))
  const [best, average, own, moments] = [
    take('best'),
    take('average'),
    take('own'),
    take('moments'),
  ]
  return {
    ...rest,
    ...{ best, average, own },
    optimizer: optimizer === null ? null : { ...optimizer, moments },
  }
}

function digestOf(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest()
}

export interface OptimizerState {
  readonly steps: number
  /** Powers of the two decay rates after these steps, as the optimizer has them. */
  readonly powers: readonly [number, number]
  /** First moments of all variables, then second ones. */
  readonly moments: readonly Float32Array[]
}

/** Where this version of TensorFlow.js has the powers; no method gives them out. */
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
  // The number of steps was made for the call, the moments are the optimizer's own.
  steps?.tensor.dispose()
  return state
}

/** Puts the state into an optimizer that has made no step. */
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
