// What a set of rows holds, as one text that does not depend on the rows' order: equal for equal rows.

import type { DuckDbSession } from '../platform/lake/duckdb.ts'

/** How many rows there are, and a sum over all of them; `columns` are names as SQL has them. */
export async function contentOf(
  session: DuckDbSession,
  from: string,
  columns: string,
): Promise<string> {
  const [row] = await session.rows(
    `SELECT count(*), coalesce(sum(CAST(hash(${columns}) AS HUGEINT)), 0) FROM ${from}`,
  )
  return `${String(row?.[0])}/${String(row?.[1])}`
}
