// Chooses the schema registry: the HTTP one when its URL is configured, else the files.

import type { SchemaRegistry } from '../../core/wire/schema-registry.ts'
import { FileRegistry } from './file-registry.ts'
import { HttpRegistry } from './http-registry.ts'
import type { HttpRegistryOptions } from './http-registry.ts'

/** Settings of the registry; a null URL means the files in schemas/. */
export interface RegistrySettings extends Omit<HttpRegistryOptions, 'url'> {
  readonly url: string | null
  /** schemas/ of this installation unless given. */
  readonly folder?: string
}

/**
 * Nothing is read or sent before `load`.
 * @throws SluiceError SLUICE_CONFIG_INVALID when the URL is not http or https.
 */
export function openSchemaRegistry(settings: RegistrySettings): SchemaRegistry {
  const files = new FileRegistry(settings.folder)
  const { url } = settings
  return url === null ? files : new HttpRegistry(files, { ...settings, url })
}
