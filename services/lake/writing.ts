// A lake that exists, open for writing by one command, with a database to write from.

import { openDuckDb, type DuckDbSession } from '../platform/lake/duckdb.ts'
import {
  openLakeWriter,
  type LakeWriter,
  type LakeWriterOptions,
} from '../platform/lake/lake-writer.ts'
import { temporaryFolder } from './folders.ts'

/**
 * Opens the lake, works, and closes it however that ends.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, SLUICE_USAGE when there is no lake, or what `work` throws.
 */
export async function writingTo<Result>(
  { folder, writer: name, clock }: Pick<LakeWriterOptions, 'folder' | 'writer' | 'clock'>,
  work: (session: DuckDbSession, writer: LakeWriter) => Promise<Result>,
): Promise<Result> {
  const options = { folder, writer: name, clock, topicPrefix: null, mustExist: true }
  const writer = await openLakeWriter(options)
  try {
    const session = await openDuckDb(temporaryFolder(writer.staging))
    try {
      return await work(session, writer)
    } finally {
      await session.close()
    }
  } finally {
    await writer.close()
  }
}
