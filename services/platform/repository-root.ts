// Root folder of this installation, which contains models, schemas and package.json.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Folder of the checkout (or image), from the sources as well as from dist. */
export function repositoryRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`No package.json above ${import.meta.dirname}.`)
    folder = parent
  }
  return folder
}
