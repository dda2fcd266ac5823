// Erases a card: files that contain it are rewritten without its rows, and one commit per step replaces the old files. An
// interrupted run leaves each step done or not done, and running the command again completes it.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { type CheckResult, erasedResult, OFFSET_COLUMN } from '../core/lake/lake-checks.ts'
import {
  addRows,
  type FileRange,
  type LakeErasure,
  type LakeFile,
  type LakeState,
  mergedPath,
  NO_ROWS,
  REFERENCE_CHARACTERS_MAX,
  type TableRows,
  totalRows,
} from '../core/lake/lake-log.ts'
import { LAKE_COLUMNS, TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { readLakeState } from '../platform/lake/commit-log.ts'
import { type DuckDbSession, sqlName, sqlText } from '../platform/lake/duckdb.ts'
import { openLakeReader, pathsOf, readFailure, readFiles } from '../platform/lake/lake-views.ts'
import { type LakeWriter, type StagedFile, withLakeWriter } from '../platform/lake/lake-writer.ts'
import {
  checkFile,
  contentOf,
  finished,
  PARQUET_OPTIONS,
  refuseFailed,
  stageResults,
} from '../platform/lake/stage-files.ts'

/** A card to erase. */
export interface EraseRequest {
  /** Id of the run, recorded in the lake's log. */
  readonly id: string
  readonly card: string
  readonly reference: string | null
}

/** Rows erased, or found by a dry run. */
export interface EraseSummary {
  readonly id: string
  readonly reference: string | null
  readonly rows: TableRows
  /** Files that contained the card. */
  readonly files: number
  /** The last commit of the run; null when there was nothing to erase. */
  readonly commit: number | null
}

/** A committed step. */
export interface EraseProgress {
  readonly step: number
  readonly steps: number
  readonly commit: number
  readonly files: number
  readonly rows: number
}

export interface EraseOptions {
  readonly folder: string
  readonly request: EraseRequest
  readonly clock: Clock
  readonly onStep: (progress: EraseProgress) => void
}

/** @throws SluiceError SLUICE_USAGE when there is no card, or the reference is too long or names the card. */
export function eraseRequest(card: string, reference: string | null): EraseRequest {
  if (card === '') throw usage('--card must not be empty')
  if (reference !== null && reference.length > REFERENCE_CHARACTERS_MAX) {
    throw usage(`--reference has more than ${REFERENCE_CHARACTERS_MAX} characters`)
  }
  if (reference?.includes(card) === true) {
    throw usage('--reference must not contain the card, since the lake records it')
  }
  return { id: randomUUID(), card, reference }
}

/**
 * Erases the card from every table.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, SLUICE_USAGE when there is no lake, or the signal's reason.
 */
export async function eraseFromLake(
  { folder, request, clock, onStep }: EraseOptions,
  signal: AbortSignal,
): Promise<EraseSummary> {
  return withLakeWriter({ folder, writer: 'sluice lake erase', clock }, (session, writer) =>
    eraseCard(session, writer, { request, clock, onStep }, signal),
  )
}

/** A dry run: finds what `eraseFromLake` would erase. @throws SluiceError as openLakeReader. */
export async function findInLake(folder: string, request: EraseRequest): Promise<EraseSummary> {
  const reader = await openLakeReader(folder)
  try {
    const steps = await findCard(reader.session, folder, reader.state, request.card)
    return { ...summaryOf(request, steps.flat()), commit: null }
  } catch (error) {
    throw readFailure(error) ?? error
  } finally {
    await reader.close()
  }
}

/** Erases the card with a writer that is already open. @throws SluiceError as eraseFromLake. */
export async function eraseCard(
  session: DuckDbSession,
  writer: LakeWriter,
  { request, clock, onStep }: Omit<EraseOptions, 'folder'>,
  signal: AbortSignal,
): Promise<EraseSummary> {
  try {
    const steps = await findCard(session, writer.folder, writer.state, request.card)
    let commit: number | null = null
    for (const [index, step] of steps.entries()) {
      signal.throwIfAborted()
      commit = await commitStep(session, writer, request, step, clock)
      const rows = step.reduce((sum, each) => sum + each.rows, 0)
      onStep({ step: index + 1, steps: steps.length, commit, files: step.length, rows })
    }
    return { ...summaryOf(request, steps.flat()), commit }
  } catch (error) {
    throw readFailure(error) ?? error
  }
}

async function commitStep(
  session: DuckDbSession,
  writer: LakeWriter,
  request: EraseRequest,
  step: EraseStep,
  clock: Clock,
): Promise<number> {
  const commit = writer.state.sequence + 1
  const staged = []
  const results = []
  for (const [index, holding] of step.entries()) {
    const made = await rewriteWithout(session, writer, holding, request.card, index)
    if (made.staged !== null) staged.push(made.staged)
    results.push(...made.results)
  }
  staged.push(...(await stageResults(session, writer.staging, results, commit, clock.nowMs())))
  const { id, reference, files, rows } = summaryOf(request, step)
  await writer.commit({
    kind: 'erase',
    staged,
    removed: step.map(({ file }) => file.path),
    erased: { id, reference, files, rows },
  })
  return commit
}

function summaryOf({ id, reference }: EraseRequest, step: EraseStep): Omit<EraseSummary, 'commit'> {
  const rows = step.reduce(
    (sum, { table, rows: count }) => addRows(sum, { ...NO_ROWS, [table]: count }),
    NO_ROWS,
  )
  return { id, reference, rows, files: step.length }
}

/** Rows of all tables. */
export function erasedRows({ rows }: EraseSummary): number {
  return totalRows(rows)
}

function usage(problem: string): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `sluice lake erase: ${problem}; see "sluice lake erase --help".`,
  )
}

// Finding the card: the files that contain it, and its rows in them.
//
// Dead letters have no card column. Those of the card's messages are found by the position of one of the card's rows, and
// by a sample that contains its token.

/** Shorter tokens are not searched in samples, where they would match other text. */
const SAMPLE_TOKEN_CHARACTERS_MIN = 6

/** Temporary table: positions of the card's messages that became rows. Dead letters of these messages are the card's. */
const POSITIONS = 'card_positions'

/** A file with rows of the card. */
export interface HoldingFile {
  readonly table: TopicTable
  readonly file: LakeFile
  readonly rows: number
}

/** Files rewritten in one commit. */
export type EraseStep = readonly HoldingFile[]

/** SQL condition for the card's rows of a table; never null. Needs `findCard` to have run in the session. */
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
 * The files with rows of the card, in steps. All tables of a day are one step, so a decision never outlives its
 * transaction. Dead letters come first, together with the days of the rows by whose positions they are found: once those
 * rows are gone, the dead letters could not be found.
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

/** Days of the rows whose positions identify these dead letters. */
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

// Rewriting one file without the rows of the card; all other rows stay unchanged and in order.

export interface Rewritten {
  /** Null when all rows belonged to the card. */
  readonly staged: StagedFile | null
  /** Checks of the new file, and the number of removed rows. */
  readonly results: readonly CheckResult[]
}

/**
 * Writes the new file to the staging folder; `index` distinguishes the files of one commit.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when it would not contain exactly the rows of the other cards.
 */
export async function rewriteWithout(
  session: DuckDbSession,
  writer: LakeWriter,
  { table, file, rows }: HoldingFile,
  card: string,
  index: number,
): Promise<Rewritten> {
  const columns = LAKE_COLUMNS[table].map(({ name }) => sqlName(name)).join(', ')
  const isCards = isOfCard(table, card)
  const old = `(${readFiles(table, [join(writer.folder, file.path)], ['file_row_number'])})`
  const gone = await rangesOf(session, `${old} WHERE ${isCards}`, table)
  const results = gone.map((range) =>
    erasedResult(table, wholeRange(file.ranges, range), range.rows),
  )
  if (rows === file.rows) return { staged: null, results }

  const commit = writer.state.sequence + 1
  const stagedPath = join(writer.staging, `erase-${commit}-${index}.parquet`)
  await session.run(
    `COPY (SELECT ${columns} FROM ${old} WHERE NOT ${isCards} ORDER BY file_row_number) ` +
      `TO ${sqlText(stagedPath)} (${PARQUET_OPTIONS})`,
  )
  const made = `read_parquet(${sqlText(stagedPath)}, hive_partitioning = false)`
  const others = await contentOf(session, `${old} WHERE NOT ${isCards}`, columns)
  const after = await contentOf(session, made, columns)
  if (others !== after || !after.startsWith(`${file.rows - rows}/`)) {
    throw new SluiceError(
      'SLUICE_LAKE_DAMAGED',
      `${file.path} was not rewritten: the remaining rows would differ from the old file or from the log. ` +
        'Run "sluice lake check" to find the fault.',
    )
  }
  const described = {
    table,
    path: mergedPath(table, file.day, commit, index),
    day: file.day,
    rows: file.rows - rows,
    ranges: file.ranges.length === 0 ? [] : await rangesOf(session, made, table),
  }
  const checks = await checkFile(session, stagedPath, described)
  refuseFailed(checks)
  return { staged: await finished(stagedPath, described), results: [...results, ...checks] }
}

/** First and last offset and number of rows, by partition. */
async function rangesOf(
  session: DuckDbSession,
  from: string,
  table: TopicTable,
): Promise<readonly FileRange[]> {
  const offset = OFFSET_COLUMN[table] ?? 'log_offset'
  const rows = await session.rows(
    `SELECT log_partition, min(${offset}), max(${offset}), count(*) FROM ${from} ` +
      'GROUP BY log_partition ORDER BY log_partition',
  )
  return rows.map(([partition, first, last, count]) => ({
    partition: Number(partition),
    first: Number(first),
    last: Number(last),
    rows: Number(count),
  }))
}

/** The range of the whole file: offsets of the card's rows would reveal its messages in the topic. */
function wholeRange(ranges: readonly FileRange[], of: FileRange): FileRange {
  return ranges.find(({ partition }) => partition === of.partition) ?? of
}

/**
 * Erasures, oldest first, for commands that read history and report what is missing; empty when there is no lake.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when its log is inconsistent.
 */
export async function readErasures(folder: string): Promise<readonly LakeErasure[]> {
  return (await readLakeState(folder)).erasures
}
