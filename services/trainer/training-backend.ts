// What a net is trained on: the fastest backend that is there, or the one that was asked for.

import { SluiceError } from '../core/errors.ts'
import { openBackend, type OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'

/** Those that train, the fastest first. */
const BACKENDS = ['tensorflow', 'wasm'] as const

export const TRAINING_BACKENDS = ['auto', ...BACKENDS] as const
export type TrainingBackend = (typeof TRAINING_BACKENDS)[number]

/** @throws SluiceError SLUICE_BACKEND_UNAVAILABLE */
export async function openTrainingBackend(
  wanted: TrainingBackend,
  onProgress: (line: string) => void,
): Promise<OpenBackend> {
  const names = wanted === 'auto' ? BACKENDS : [wanted]
  const reasons: string[] = []
  for (const name of names) {
    try {
      return await openBackend(name)
    } catch (error) {
      const reason = `${name}: ${error instanceof Error ? error.message : String(error)}`
      reasons.push(reason)
      if (wanted === 'auto') onProgress(`not training on ${reason}`)
    }
  }
  throw new SluiceError(
    'SLUICE_BACKEND_UNAVAILABLE',
    `Cannot train on "${wanted}" (${reasons.join('; ')}). Use --backend wasm, or run "sluice doctor".`,
  )
}
