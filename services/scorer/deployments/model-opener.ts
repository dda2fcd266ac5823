// Opens a model by its name in the control topic, and maps a failure to a metric label.

import type { Choice } from '../../core/control/deployment.ts'
import { isSluiceError } from '../../core/errors.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import type { Backend, ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { ModelRefusal } from '../../platform/metrics/deployment-metrics.ts'
import type { ModelStore } from '../../platform/model-store.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'

export interface ModelSources {
  /** Folder of the configured model, which the control topic names null. */
  readonly configuredFolder: string
  /** Digest of the configured model when it was opened; the model serves under this name too. */
  readonly configuredDigest: string
  readonly store: Pick<ModelStore, 'find'>
  readonly backend: Backend | 'auto'
  /** Currency that amounts are converted to; a model of another one is refused. */
  readonly referenceCurrency: string
}

/**
 * Opens and warms a model. `backendInUse` is tried alone first: measuring all backends takes longer than a partition
 * should notice. @throws SluiceError as `ModelStore.find` and `openScoringModel`.
 */
export async function openModelByChoice(
  choice: Choice,
  backendInUse: Backend,
  { configuredFolder, configuredDigest, store, backend, referenceCurrency }: ModelSources,
): Promise<ScoringModel> {
  const isConfigured = choice === null || choice === configuredDigest
  const folder = isConfigured ? configuredFolder : (await store.find(choice)).folder
  const model = await openOn(folder, backendInUse, referenceCurrency).catch((error: unknown) => {
    if (backend !== 'auto' || !isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE')) throw error
    return openOn(folder, 'auto', referenceCurrency)
  })
  // The folder may have changed since the check.
  if (choice !== null && model.info.digest !== choice) {
    model.close()
    throw corrupt(`${folder} holds a manifest whose digest is ${model.info.digest}`)
  }
  return model
}

function openOn(
  folder: string,
  backend: Backend | 'auto',
  referenceCurrency: string,
): Promise<ScoringModel> {
  return openScoringModel({ folder, backend, referenceCurrency })
}

/** The metric label for a model that was refused. */
export function refusalOf(error: unknown): ModelRefusal {
  if (isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND')) return 'not_found'
  if (isSluiceError(error, 'SLUICE_STORE_UNAVAILABLE')) return 'unavailable'
  if (isSluiceError(error, 'SLUICE_MODEL_CORRUPT')) return 'corrupt'
  if (isSluiceError(error, 'SLUICE_MODEL_INCOMPATIBLE')) return 'incompatible'
  return 'not_opened'
}
