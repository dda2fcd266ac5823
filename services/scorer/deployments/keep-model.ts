// The configured model goes into the store as well: decisions name it by its digest, and must be found to be replayed when
// the folder has long held another one.

import { existsSync } from 'node:fs'
import type { Logger } from '../../platform/log.ts'
import { addModel, storedFolder } from '../../platform/model-store.ts'

/** Never fails: a store that cannot be written, as in an image, holds up no decision; the log says what to do. */
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
      'The configured model is not in the store, so replays must be told its folder; run "sluice model add".',
    )
  }
}
