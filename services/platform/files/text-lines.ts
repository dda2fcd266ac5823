// Lines of text files, of bounded length.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { SluiceError } from '../../core/errors.ts'

const LINE_CHARACTERS_MAX = 1024 * 1024

/** The first lines of a file. @throws SluiceError SLUICE_INPUT_INVALID when it cannot be read, or a line is too long */
export async function* linesOf(
  file: string,
  countMax: number,
): AsyncGenerator<string, void, undefined> {
  const input = createReadStream(file)
  const failed = new Promise<never>((_, reject) => {
    input.once('error', (error: NodeJS.ErrnoException) => {
      const problem = `${file} cannot be read (${error.code ?? 'unknown'}); correct its path or its rights.`
      reject(new SluiceError('SLUICE_INPUT_INVALID', problem))
    })
  })
  await Promise.race([failed, new Promise((resolve) => input.once('open', resolve))])
  failed.catch(() => undefined)
  let count = 0
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (count === countMax) break
    if (line.length > LINE_CHARACTERS_MAX) {
      const problem = `${file} line ${count + 1} has more than ${LINE_CHARACTERS_MAX} characters.`
      throw new SluiceError('SLUICE_INPUT_INVALID', problem)
    }
    count += 1
    yield line
  }
  input.destroy()
}
