// The two stores of a stream: of its policies and lists, and of its models.

import { join } from 'node:path'
import type { EnvReader } from '../config/env-reader.ts'
import type { KafkaConnection } from '../kafka/kafka-connection.ts'
import { defaultStore, folderModels, type ModelStore } from '../model-store.ts'
import { repositoryRoot } from '../repository-root.ts'
import { contentModels } from './content-models.ts'
import type { ContentStore } from './content-store.ts'
import { openContentStore, type StorePlace, storePlaceOf } from './store-place.ts'

export interface StoreSettings {
  readonly models: StorePlace
  readonly policies: StorePlace
  /** Folder of the models that were read from a topic. */
  readonly cache: string
}

export interface Stores {
  readonly models: ModelStore
  readonly policies: ContentStore
}

/** The stream whose topic may be a store. */
type StoreStream = KafkaConnection & { readonly topicPrefix: string }

/** Reads SLUICE_MODEL_STORE and SLUICE_POLICY_STORE; an option of a command takes the place of both. */
export function readStoreSettings(read: EnvReader, option?: string): StoreSettings {
  const root = repositoryRoot()
  const models = option ?? read.value('SLUICE_MODEL_STORE') ?? defaultStore(root)
  const policies = option ?? read.value('SLUICE_POLICY_STORE') ?? models
  const cache = read.value('SLUICE_STORE_CACHE') ?? join(root, '.sluice', 'store-cache')
  return { models: storePlaceOf(models), policies: storePlaceOf(policies), cache }
}

/** Opens both. `stream` is called for a store that is a topic. */
export function openStores(
  { models, policies, cache }: StoreSettings,
  stream: () => StoreStream,
): Stores {
  return {
    models:
      models.kind === 'folder'
        ? folderModels(models.folder)
        : contentModels(openContentStore(models, stream), cache),
    policies: openContentStore(policies, stream),
  }
}
