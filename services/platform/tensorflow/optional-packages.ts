// Packages that Sluice can do without: in a folder of their own below `.sluice`, where `sluice tensorflow install`
// puts them, or among the installed packages.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from '../repository-root.ts'

/** Folders that `sluice tensorflow install` makes; each may be a link to another place. */
export const OPTIONAL_SETS = ['tensorflow', 'webgpu'] as const
export type OptionalSet = (typeof OPTIONAL_SETS)[number]

/** The package is not installed anywhere. */
export class PackageAbsent extends Error {}

/** Folder of a set, whether it is there or not. */
export function optionalSetFolder(set: OptionalSet, root = repositoryRoot()): string {
  return join(root, '.sluice', set)
}

/** Imports a package from its own folder if it is there, else from where packages lie. @throws PackageAbsent */
export async function importOptional(
  set: OptionalSet,
  packageName: string,
  folder = optionalSetFolder(set),
): Promise<unknown> {
  const own = join(folder, 'node_modules', packageName)
  if (existsSync(own)) {
    const entry = createRequire(join(folder, 'package.json')).resolve(packageName)
    return import(pathToFileURL(entry).href)
  }
  try {
    // The name is not known to the compiler, since the package need not be there.
    return (await import(packageName)) as unknown
  } catch (error) {
    if (isMissing(error, packageName)) throw new PackageAbsent(`${packageName} is not installed`)
    throw error
  }
}

/** The package itself is missing; one that misses something of its own fails in another way. */
function isMissing(error: unknown, packageName: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes(`'${packageName}'`)
  )
}
