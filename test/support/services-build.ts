// The services, compiled once for a whole run of tests: a process that a test starts then needs half of the processor
// time that it needs from the sources, and there are hundreds of them.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')
/** Passes the folder of the build from the runner to the tests. Without it, processes are started from the sources. */
const FOLDER_VARIABLE = 'TEST_SERVICES_FOLDER'

/** Below the root, so that packages, models and schemas are found from it. */
export interface ServicesBuild {
  readonly folder: string
  remove(): void
}

/**
 * Compiles as `npm run build` does, but without type checks, into a folder of this run. The environment passes it to
 * the tests.
 */
export async function buildServices(signal?: AbortSignal): Promise<ServicesBuild> {
  // A run of tests inside a test uses the build of the outer run.
  const given = process.env[FOLDER_VARIABLE] ?? ''
  if (given !== '') return { folder: given, remove: () => undefined }
  mkdirSync(join(ROOT, '.sluice'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.sluice', 'test-build-'))
  const build = {
    folder,
    remove: () => {
      rmSync(folder, { recursive: true, force: true })
    },
  }
  const node = async (...args: readonly string[]): Promise<void> => {
    await promisify(execFile)(process.execPath, args, { cwd: ROOT, signal })
  }
  try {
    const compiler = 'node_modules/typescript/bin/tsc'
    await node(compiler, '--project', 'tsconfig.build.json', '--noCheck', '--outDir', folder)
    await node('infra/copy-assets.mjs', folder)
  } catch (error) {
    build.remove()
    throw error
  }
  process.env[FOLDER_VARIABLE] = folder
  return build
}

/** An entry of the services, or one of the tests that runs a service without a guard. */
export type Entry =
  'services/cli/main.ts' | 'services/scorer/main.ts' | `test/support/careless-${string}.ts`

/** Arguments of Node that start an entry, followed by the entry's own. Entries of tests are not built. */
export function startOf(entry: Entry, args: readonly string[] = []): readonly string[] {
  const folder = process.env[FOLDER_VARIABLE] ?? ''
  return folder === '' || entry.startsWith('test/')
    ? [join(ROOT, entry), ...args]
    : [join(folder, entry.replace(/\.ts$/, '.js')), ...args]
}
