// A lake with all tables in which a card can be erased, and the later content of its folders as a plain DuckDB reads
// it.

import { ok } from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { KEY_COLUMNS, TOPIC_TABLES } from '../../services/core/lake/lake-tables.ts'
import { COMPACTION_DEFAULTS, checkLake, compactLake } from '../../services/lake/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openDuckDb } from '../../services/platform/lake/duckdb.ts'
import { decidedLake } from './decided-lake.ts'
import { addDeadLetters, addOffsetChecks, openWriter } from './lake.ts'

const NEVER = new AbortController().signal

/** Every row of the folders, as a plain DuckDB reads them, with its position in the file. */
export async function rowsOf(folder: string, where: string): Promise<readonly string[]> {
  const session = await openDuckDb(null)
  try {
    const lines: string[] = []
    for (const table of TOPIC_TABLES) {
      const files = readdirSync(join(folder, table), { recursive: true, encoding: 'utf8' })
      if (!files.some((name) => name.endsWith('.parquet'))) continue
      const order = ['day', ...KEY_COLUMNS[table]].join(', ')
      const rows = await session.rows(
        `SELECT '${table}', to_json(r) FROM (SELECT * FROM read_parquet('${folder}/${table}/*/*.parquet', hive_partitioning = true) ` +
          `WHERE ${table === 'dead_letters' ? 'true' : where} ORDER BY ${order}) r`,
      )
      lines.push(...rows.map((row) => row.join(' ')))
    }
    return lines
  } finally {
    await session.close()
  }
}

/** Files of any kind under the folder that show the text; those of Parquet are compressed, so their rows are read. */
export async function filesShowing(folder: string, text: string): Promise<readonly string[]> {
  const session = await openDuckDb(null)
  try {
    const found: string[] = []
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile()) continue
      const [row] = path.endsWith('.parquet')
        ? await session.rows(
            `SELECT count(*) FROM read_parquet('${path}') r WHERE contains(CAST(to_json(r) AS VARCHAR), '${text}')`,
          )
        : []
      if (readFileSync(path).includes(text) || Number(row?.[0] ?? 0) > 0) found.push(path)
    }
    return found
  } finally {
    await session.close()
  }
}

/** Names of the checks that fail, of all files and tables. */
export async function failures(folder: string): Promise<readonly string[]> {
  const report = await checkLake(
    { folder, table: null, day: null, onProgress: () => undefined },
    NEVER,
  )
  ok(
    report.results.some(({ name }) => name === 'rows_of_ranges'),
    'ranges are looked at',
  )
  return report.results.filter(({ status }) => status === 'failed').map(({ name }) => name)
}

/** A lake with all tables; its first card and another card each have a dead letter. */
export async function fullLake(
  t: TestContext,
  { transactions = 1_500, cards = 60, isCompacted = false } = {},
) {
  const { folder, samples, events } = await decidedLake(t, { transactions, cards })
  const ofCard = (card: string) => samples.filter(({ transaction }) => transaction.card === card)
  const card =
    events
      .flatMap((event) => (event.kind === 'label' ? [event.label.card] : []))
      .find((labelled) => ofCard(labelled).length > 3) ?? ''
  const own = ofCard(card)
  const other = samples.find(({ transaction }) => transaction.card !== card)
  ok(other !== undefined && own.length > 3, 'a card with a label, and another')
  const writer = await openWriter(folder)
  await addDeadLetters(writer, [own[2]?.offset ?? -1, other.offset])
  await addOffsetChecks(writer)
  await writer.close()
  if (isCompacted) {
    await compactLake(
      { folder, rule: COMPACTION_DEFAULTS, clock: systemClock, onMerge: () => undefined },
      NEVER,
    )
  }
  return { folder, card, decisions: own.length }
}
