// What a failure of DuckDB means for who reads a lake.

import { SluiceError } from '../core/errors.ts'
import { openLakeReader, type LakeReader, type ReaderOptions } from '../platform/lake/lake-views.ts'

const GONE = /No files found|Cannot open file|No such file/
const BROKEN = /parquet|snappy|zstd|thrift|Serialization Error|Invalid Input Error: File/i

/** The message of an error of DuckDB on one line; null for another error. */
export function duckDbProblem(error: unknown): string | null {
  if (error instanceof SluiceError || !(error instanceof Error)) return null
  const [line = ''] = error.message.split('\n\n')
  const problem = line.replace('Failed to extract statements: ', '').replaceAll(/\s+/g, ' ').trim()
  return /^(?:[A-Za-z-]+ )*[A-Za-z-]+ (?:Error|Exception):/.test(problem) ? problem : null
}

/**
 * Opens the lake for reading.
 * @throws SluiceError as openLakeReader, and SLUICE_LAKE_BUSY or SLUICE_LAKE_DAMAGED for a file that is not as listed.
 */
export async function openReader(folder: string, options: ReaderOptions): Promise<LakeReader> {
  try {
    return await openLakeReader(folder, options)
  } catch (error) {
    throw readFailure(error) ?? error
  }
}

/** SLUICE_LAKE_BUSY or SLUICE_LAKE_DAMAGED when a file of the lake is not as its log says; else null. */
export function readFailure(error: unknown): SluiceError | null {
  const problem = duckDbProblem(error)
  if (problem === null) return null
  if (GONE.test(problem)) {
    return new SluiceError(
      'SLUICE_LAKE_BUSY',
      `A file of the lake is gone (${problem}): it was compacted or a card erased meanwhile, or somebody removed it. Run the command again; ` +
        'if that does not help, run "sluice lake check".',
      { cause: error },
    )
  }
  if (!BROKEN.test(problem)) return null
  return new SluiceError(
    'SLUICE_LAKE_DAMAGED',
    `A file of the lake cannot be read (${problem}); "sluice lake check" names it.`,
    { cause: error },
  )
}
