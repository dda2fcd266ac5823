// The home of policies and models that a variable or an option names.

import { topicStore, type TopicStoreOptions } from './topic-store.ts'
import type { ContentStore } from './content-store.ts'
import { folderStore } from './folder-store.ts'

/** A folder, or the topic `artifacts` of the stream. */
export type StorePlace =
  { readonly kind: 'folder'; readonly folder: string } | { readonly kind: 'topic' }

/** Reads `topic` or a folder; a folder of the name topic is written `./topic`. */
export function storePlaceOf(text: string): StorePlace {
  return text === 'topic' ? { kind: 'topic' } : { kind: 'folder', folder: text }
}

/** Opens the store of a place. `stream` names the stream whose topic is meant. */
export function openContentStore(place: StorePlace, stream: () => TopicStoreOptions): ContentStore {
  return place.kind === 'folder' ? folderStore(place.folder) : topicStore(stream())
}
