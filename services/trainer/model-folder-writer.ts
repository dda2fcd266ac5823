// Writes a model folder whole or not at all: into a folder beside it, then renamed.

import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SluiceError } from '../core/errors.ts'

/**
 * Refuses early what `writeModelFolder` would refuse late.
 * @throws SluiceError SLUICE_USAGE when something is there already and `force` is not set, or when it is no
 * model folder, which is never replaced.
 */
export async function checkTarget(folder: string, force: boolean): Promise<void> {
  if (!existsSync(folder)) return
  const entries = await readdir(folder).catch(() => null)
  if (entries?.length === 0) return
  if (entries?.includes('manifest.json') !== true) {
    throw usage(
      `--out ${folder} exists and is no model folder; name another, or move it out of the way.`,
    )
  }
  if (!force) throw usage(`--out ${folder} holds a model; add --force to replace it.`)
}

/** Puts the files there, by path in the folder; a model that was there before is replaced in one step of a moment. */
export async function writeModelFolder(
  folder: string,
  files: Readonly<Record<string, Buffer>>,
): Promise<void> {
  const fresh = `${folder}.${process.pid}.tmp`
  const old = `${folder}.${process.pid}.old`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(dirname(fresh), { recursive: true })
  await mkdir(fresh)
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(`${fresh}/${path}`), { recursive: true })
    await writeFile(`${fresh}/${path}`, bytes)
  }
  const isReplaced = existsSync(folder)
  if (isReplaced) await rename(folder, old)
  await rename(fresh, folder)
  if (isReplaced) await rm(old, { recursive: true, force: true })
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}
