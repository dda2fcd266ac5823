// Opens a model by its name in the control topic, and maps a failure to a metric label.

import type { Choice } from '../../core/control/deployment.ts'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { isSluiceError } from '../../core/errors.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import type { Backend, ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { ModelRefusal } from '../../platform/metrics/deployment-metrics.ts'
import { findModel } from '../../platform/model-store.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'

export interface ModelSources {
  /** Folder of the configured model, which the control topic names null. */
  readonly configuredFolder: string
  /** Digest of the configured model when it was opened; the model serves under this name too. */
  readonly configuredDigest: string
  readonly store: string
  readonly backend: Backend | 'auto'
}

/**
 * Opens and warms a model. `backendInUse` is tried alone first: measuring all backends takes longer than a partition
 * should notice. @throws SluiceError as `findModel` and `openScoringModel`.
 */
export async function openModelByChoice(
  choice: Choice,
  backendInUse: Backend,
  { configuredFolder, configuredDigest, store, backend }: ModelSources,
): Promise<ScoringModel> {
  const isConfigured = choice === null || choice === configuredDigest
  const folder = isConfigured ? configuredFolder : (await findModel(store, choice)).folder
  const model = await openOn(folder, backendInUse).catch((error: unknown) => {
    if (backend !== 'auto' || !isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE')) throw error
    return openOn(folder, 'auto')
  })
  // The folder may have changed since the check.
  if (choice !== null && model.info.digest !== choice) {
    model.close()
    throw corrupt(`${folder} holds a manifest whose digest is ${model.info.digest}`)
  }
  return model
}

function openOn(folder: string, backend: Backend | 'auto'): Promise<ScoringModel> {
  return openScoringModel({ folder, backend, ratesDigest: DEFAULT_RATES.digest })
}

/** The metric label for a model that was refused. */
export function refusalOf(error: unknown): ModelRefusal {
  if (isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND')) return 'not_found'
  if (isSluiceError(error, 'SLUICE_MODEL_CORRUPT')) return 'corrupt'
  if (isSluiceError(error, 'SLUICE_MODEL_INCOMPATIBLE')) return 'incompatible'
  return 'not_opened'
}
