// Copies the configured model into the store. Decisions name it by digest, and a replay must find it after the folder
// holds another model.

import type { Logger } from '../../platform/log.ts'
import type { ModelStore } from '../../platform/model-store.ts'

/** Never fails: a read-only store, as in an image, delays no decision. The log says what to do. */
export async function keepModel(
  store: ModelStore,
  folder: string,
  digest: string,
  log: Pick<Logger, 'info' | 'warn'>,
): Promise<void> {
  try {
    if (await store.has(digest)) return
    await store.add(folder)
    log.info({ store: store.place, digest }, 'The configured model was put into the store.')
  } catch (error) {
    log.warn(
      { store: store.place, digest, error },
      'The configured model is not in the store, so replays need its folder; run "sluice model add".',
    )
  }
}
