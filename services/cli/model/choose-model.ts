// From what a person names, a folder or a digest, to a model of the store that was opened once.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isDigest } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { addModel, findModel, listModels } from '../../platform/model-store.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import { printProgress } from '../command.ts'

/** Fewer characters of a digest would be guessing. */
const PREFIX_MIN = 6

/**
 * Finds the model in the store, or puts its folder there, and opens it: files, digests, feature list and golden
 * vectors are checked, so that what a scorer would refuse is refused here. The caller closes it.
 * @throws SluiceError SLUICE_MODEL_NOT_FOUND, SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE or
 * SLUICE_BACKEND_UNAVAILABLE.
 */
export async function chooseModel(store: string, named: string): Promise<ScoringModel> {
  const { folder } = await inStore(store, named)
  return openScoringModel({ folder, backend: 'auto' })
}

async function inStore(store: string, named: string): Promise<{ readonly folder: string }> {
  if (existsSync(join(named, 'manifest.json'))) {
    const added = await addModel(store, named)
    if (added.isNew) printProgress(`added ${named} to the store as ${added.folder}`)
    return added
  }
  return findModel(store, await fullDigest(store, named))
}

/** The start of a digest is enough where only one model of the store begins so. */
async function fullDigest(store: string, named: string): Promise<string> {
  if (isDigest(named)) return named
  const isPrefix = named.length >= PREFIX_MIN && /^[0-9a-f]+$/.test(named)
  const found = isPrefix
    ? (await listModels(store)).filter(({ digest }) => digest.startsWith(named))
    : []
  if (found.length === 1 && found[0] !== undefined) return found[0].digest
  throw new SluiceError(
    'SLUICE_MODEL_NOT_FOUND',
    found.length > 1
      ? `${named} is the start of ${found.length} digests in ${store}; give more of it.`
      : `"${named}" is no model folder and no model of the store ${store}. Give a folder with a manifest.json, or a ` +
          'digest that "sluice model list" shows.',
  )
}
