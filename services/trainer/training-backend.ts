// What a net is trained on: the fastest backend that is there, or the one that was asked for.

import { SluiceError } from '../core/errors.ts'
import { openBackend, type OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'

export type TrainingBackend = 'auto' | 'tensorflow' | 'wasm'

/** @throws SluiceError SLUICE_BACKEND_UNAVAILABLE */
export async function openTrainingBackend(
  wanted: TrainingBackend,
  onProgress: (line: string) => void,
): Promise<OpenBackend> {
  const names = wanted === 'auto' ? (['tensorflow', 'wasm'] as const) : [wanted]
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
