// Which net a model folder holds.

import { openDenseNet } from './dense-net.ts'
import type { ModelFolder } from './model-folder.ts'
import type { OpenBackend } from './open-backend.ts'
import type { ScoringNet } from './scoring-net.ts'

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
