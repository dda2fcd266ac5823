// Copies the configured model into the store. Decisions name it by digest, and a replay must find it after the folder
// holds another model.

import { existsSync } from 'node:fs'
import type { Logger } from '../../platform/log.ts'
import { addModel, storedFolder } from '../../platform/model-store.ts'

/** Never fails: a read-only store, as in an image, delays no decision. The log says what to do. */
export async function keepModel(
  store: string,
  folder: string,
  digest: string,
  log: Pick<Logger, 'info' | 'warn'>,
): Promise<void> {
  if (existsSync(storedFolder(store, digest))) return
  try {
    await addModel(store, folder)
    log.info({ store, digest }, 'The configured model was put into the store.')
  } catch (error) {
    log.warn(
      { store, digest, error },
      'The configured model is not in the store, so replays need its folder; run "sluice model add".',
    )
  }
}
