// The stores of a folder, for tests that call code of a command.

import { folderModels } from '../../services/platform/model-store.ts'
import { folderStore } from '../../services/platform/stores/folder-store.ts'
import type { Stores } from '../../services/platform/stores/stores.ts'

export function folderStores(folder: string): Stores {
  return { models: folderModels(folder), policies: folderStore(folder) }
}
