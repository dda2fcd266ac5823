// Where the lake's commands put what they need for a while.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'

/** A folder of its own for DuckDB's temporary files. */
export function temporaryFolder(parent: string): string {
  return join(parent, `duckdb-${randomUUID()}`)
}
