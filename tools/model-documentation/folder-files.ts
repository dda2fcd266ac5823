// Reads all files of a model folder, within limits, for their verification.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { corrupt } from '../../services/core/scoring/field-reader.ts'

const FILES_MAX = 256
const FILE_BYTES_MAX = 64 * 1024 * 1024

/** Bytes by path in the folder, with forward slashes. */
export type FolderFiles = ReadonlyMap<string, Buffer>

/**
 * @throws SluiceError SLUICE_USAGE when there is no such folder, SLUICE_MODEL_CORRUPT when it holds too much.
 */
export async function readFolderFiles(folder: string): Promise<FolderFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      throw new SluiceError('SLUICE_USAGE', `${folder} is no folder that can be read.`, {
        cause: error,
      })
    },
  )
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name))
  if (paths.length > FILES_MAX) throw corrupt(`the folder holds more than ${FILES_MAX} files`)
  const files = new Map<string, Buffer>()
  for (const path of paths.toSorted()) {
    const { size } = await stat(path)
    const name = relative(folder, path).split(sep).join('/')
    if (size > FILE_BYTES_MAX) throw corrupt(`${name} has ${size} bytes`)
    files.set(name, await readFile(path))
  }
  return files
}

/** The text of one file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is not there. */
export function textOf(files: FolderFiles, path: string): string {
  return bytesOf(files, path).toString('utf8')
}

/** The bytes of one file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is not there. */
export function bytesOf(files: FolderFiles, path: string): Buffer {
  const bytes = files.get(path)
  if (bytes === undefined) throw corrupt(`${path} is not there`)
  return bytes
}

/** The value of a JSON file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is not there or no JSON. */
export function jsonOf(files: FolderFiles, path: string): unknown {
  const text = textOf(files, path)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw corrupt(`${path} is no JSON`, error)
  }
}
