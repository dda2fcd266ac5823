// Which files of a lake hold a card, and which rows of them are the card's.
//
// Dead letters have no card. Those of the card's messages are found by the position of a row of the card, and by a
// sample that shows its token.

import { join } from 'node:path'
import type { LakeFile, LakeState } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { sqlText, type DuckDbSession } from '../platform/lake/duckdb.ts'
import { pathsOf, readFiles } from '../platform/lake/lake-views.ts'

/** Shorter tokens are not looked for in samples, where they would be found in other words. */
const SAMPLE_TOKEN_CHARACTERS_MIN = 6

/** Where messages of the card stood that became rows, for the dead letters of the same messages. */
const POSITIONS = 'card_positions'

/** A file with rows of the card. */
export interface HoldingFile {
  readonly table: TopicTable
  readonly file: LakeFile
  readonly rows: number
}

/** What is written anew in one commit. */
export type EraseStep = readonly HoldingFile[]

/** True for the card's rows of a table, as SQL has it; never null. Needs `findCard` to have run in the session. */
export function isOfCard(table: TopicTable, card: string): string {
  if (table !== 'dead_letters') return `card = ${sqlText(card)}`
  const shows =
    card.length < SAMPLE_TOKEN_CHARACTERS_MIN ? 'false' : `contains(sample, ${sqlText(card)})`
  const stands = (['transactions', 'labels'] as const).map(
    (of) =>
      `(source_topic LIKE '%${of}' AND (source_partition, source_offset) IN ` +
      `(SELECT (log_partition, log_offset) FROM ${POSITIONS} WHERE of_table = '${of}'))`,
  )
  return `(${[shows, ...stands].join(' OR ')})`
}

/**
 * The files with rows of the card, in steps. Tables of one day are one step, so that a decision never outlives its
 * transaction. Dead letters go first, with the days of the rows that they are found by: later nothing would tell them.
 */
export async function findCard(
  session: DuckDbSession,
  folder: string,
  state: LakeState,
  card: string,
): Promise<readonly EraseStep[]> {
  await keepPositions(session, folder, state, card)
  const found: HoldingFile[] = []
  for (const table of TOPIC_TABLES) {
    found.push(...(await filesWith(session, folder, state, table, card)))
  }
  const letters = found.filter(({ table }) => table === 'dead_letters')
  const others = found.filter(({ table }) => table !== 'dead_letters')
  const first = letters.length === 0 ? new Set() : await daysOfLetters(session, folder, letters)
  const days = [...new Set(others.map(({ file }) => file.day))].sort()
  const steps = [
    [...letters, ...others.filter(({ file }) => first.has(file.day))],
    ...days
      .filter((day) => !first.has(day))
      .map((day) => others.filter(({ file }) => file.day === day)),
  ]
  return steps.filter((step) => step.length > 0)
}

async function keepPositions(
  session: DuckDbSession,
  folder: string,
  state: LakeState,
  card: string,
): Promise<void> {
  const of = (['transactions', 'labels'] as const).map(
    (table) =>
      `SELECT '${table}' AS of_table, log_partition, log_offset, day ` +
      `FROM (${readFiles(table, pathsOf(folder, state, table))}) WHERE ${isOfCard(table, card)}`,
  )
  await session.run(`CREATE OR REPLACE TEMP TABLE ${POSITIONS} AS ${of.join(' UNION ALL ')}`)
}

async function filesWith(
  session: DuckDbSession,
  folder: string,
  state: LakeState,
  table: TopicTable,
  card: string,
): Promise<readonly HoldingFile[]> {
  const files = [...state.files.values()].filter((file) => file.table === table)
  if (files.length === 0) return []
  const byPath = new Map(files.map((file) => [join(folder, file.path), file]))
  const rows = await session.rows(
    `SELECT filename, count(*) FROM (${readFiles(table, [...byPath.keys()], ['filename'])}) ` +
      `WHERE ${isOfCard(table, card)} GROUP BY filename ORDER BY filename`,
  )
  return rows.flatMap(([path, count]) => {
    const file = byPath.get(String(path))
    return file === undefined ? [] : [{ table, file, rows: Number(count) }]
  })
}

/** Days of the rows by whose positions these dead letters are found. */
async function daysOfLetters(
  session: DuckDbSession,
  folder: string,
  letters: readonly HoldingFile[],
): Promise<ReadonlySet<unknown>> {
  const paths = letters.map(({ file }) => join(folder, file.path))
  const rows = await session.rows(
    `SELECT DISTINCT CAST(p.day AS VARCHAR) FROM (${readFiles('dead_letters', paths)}) l ` +
      `JOIN ${POSITIONS} p ON l.source_topic LIKE '%' || p.of_table ` +
      'AND l.source_partition = p.log_partition AND l.source_offset = p.log_offset',
  )
  return new Set(rows.map(([day]) => day))
}
