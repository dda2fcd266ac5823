// The build of this process, for metrics.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './repository-root.ts'

/** The version in package.json of this installation. */
export function buildVersion(): string {
  const text = readFileSync(join(repositoryRoot(), 'package.json'), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
