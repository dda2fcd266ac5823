// Every file of the lake against what its commit says of it: there, of that size and digest, readable, and its rows
// sound.

import { join } from 'node:path'
import type { CheckName, CheckResult } from '../core/lake/lake-checks.ts'
import type { LakeFile } from '../core/lake/lake-log.ts'
import type { DuckDbSession } from '../platform/lake/duckdb.ts'
import { digestOf, errorCodeOf } from '../platform/lake/durable-files.ts'
import { checkFile } from '../platform/lake/stage-files.ts'
import { duckDbProblem } from './read-failure.ts'

/** What is wrong with the file, or that nothing is: all results of its checks. */
export async function checkLakeFile(
  session: DuckDbSession,
  folder: string,
  file: LakeFile,
): Promise<readonly CheckResult[]> {
  const path = join(folder, file.path)
  try {
    const { bytes, sha256 } = await digestOf(path)
    if (bytes !== file.bytes) {
      return [result(file, 'bytes', bytes, file.bytes, 'the file was cut short or added to')]
    }
    if (sha256 !== file.sha256) {
      return [result(file, 'bytes', -1, file.bytes, 'the file was altered: its digest is another')]
    }
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw error
    return [result(file, 'bytes', 0, file.bytes, 'the file is missing')]
  }
  const sound = result(file, 'bytes', file.bytes, file.bytes, '')
  try {
    return [sound, ...(await checkFile(session, path, file))]
  } catch (error) {
    const problem = duckDbProblem(error)
    if (problem === null) throw error
    return [sound, result(file, 'readable', 0, 1, problem)]
  }
}

function result(
  file: LakeFile,
  name: CheckName,
  found: number,
  expected: number,
  detail: string,
): CheckResult {
  return {
    table: file.table,
    file: file.path,
    range: null,
    name,
    status: found === expected ? 'ok' : 'failed',
    found,
    expected,
    detail,
  }
}
