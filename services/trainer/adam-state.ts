// What Adam knows beside the weights. TensorFlow.js gives out the moments and the number of steps, and computes the powers
// of both decay rates anew from that number; in training they come from one product after another, which differs in
// the last bits, so they are kept too.

import type { Variable } from '@tensorflow/tfjs'
import { variablesOf, type Optimizer, type Run } from './net-passes.ts'

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
