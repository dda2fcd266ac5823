// Files that people name, read up to a size.

import { readFile, stat } from 'node:fs/promises'
import { SluiceError } from '../../core/errors.ts'

/** @throws SluiceError SLUICE_INPUT_INVALID for a file that cannot be read, or is larger. */
export async function readBounded(file: string, bytesMax: number): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size <= bytesMax) return await readFile(file, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError('SLUICE_INPUT_INVALID', `${file} cannot be read: ${problem}.`, {
      cause: error,
    })
  }
  throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is larger than ${bytesMax} bytes.`)
}
