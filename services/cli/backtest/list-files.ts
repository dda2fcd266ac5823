// Lists that are given to a backtest as files.

import { isSluiceError, SluiceError } from '../../core/errors.ts'
import { LIST_LIMITS, type ListContent, readList } from '../../core/policy/policy-lists.ts'
import { readBounded } from './bounded-file.ts'

/** A list with the file that it is from. */
export interface ListFile {
  readonly file: string
  readonly content: ListContent
}

/** Reads `--list name=file` options. @throws SluiceError SLUICE_INPUT_INVALID, SLUICE_USAGE. */
export async function loadLists(
  options: readonly string[],
): Promise<ReadonlyMap<string, ListFile>> {
  const lists = new Map<string, ListFile>()
  for (const option of options) {
    const at = option.indexOf('=')
    if (at <= 0) throw usage(`--list ${option} has no name; write --list NAME=FILE`)
    const [name, file] = [option.slice(0, at), option.slice(at + 1)]
    if (lists.has(name)) throw usage(`the list ${name} is given twice`)
    const text = await readBounded(file, LIST_LIMITS.bytesMax)
    try {
      lists.set(name, { file, content: readList(text) })
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_POLICY_CORRUPT')) throw error
      const { problem } = error.details
      throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is no list: ${String(problem)}.`, {
        cause: error,
      })
    }
  }
  return lists
}

function usage(problem: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice backtest: ${problem}.`)
}
