// From a buffer to finished files in the staging folder: written, checked by reading them back, on the disk, digested.

import { join } from 'node:path'
import type { DuckDBAppender, DuckDBConnection, DuckDBType, DuckDBValue } from '@duckdb/node-api'
import { SluiceError } from '../../core/errors.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'
import {
  type CheckResult,
  checkRow,
  fileCheckSql,
  fileCountsOf,
  fileResults,
  schemaFaults,
} from '../../core/lake/lake-checks.ts'
import { dayOf, type LakeFile, mergedPath, partPath } from '../../core/lake/lake-log.ts'
import {
  DAY_COLUMN,
  KEY_COLUMNS,
  LAKE_COLUMNS,
  type LakeRow,
  type LakeTable,
  type LakeType,
  type LakeValue,
} from '../../core/lake/lake-tables.ts'
import { type DuckDb, type DuckDbSession, sqlName, sqlText } from './duckdb.ts'
import { digestOf, syncPath } from './durable-files.ts'
import type { StagedFile } from './lake-writer.ts'

export interface StagedFiles {
  readonly staged: readonly StagedFile[]
  readonly results: readonly CheckResult[]
}

/** Writes and checks all that the buffer holds; `commit` is the number of the commit to be, for names. */
export async function stageBuffer(
  session: DuckDbSession,
  staging: string,
  buffer: RowBuffer,
  commit: number,
): Promise<StagedFiles> {
  const { table } = buffer
  const staged: StagedFile[] = []
  const results: CheckResult[] = []
  for (const [index, group] of (await buffer.groups()).entries()) {
    const stagedPath = join(staging, `${buffer.name}-${index}.parquet`)
    await buffer.write(group, stagedPath)
    const hasOffsets = KEY_COLUMNS[table].length > 0
    const file = {
      table,
      path: hasOffsets
        ? partPath(table, group.day, group)
        : mergedPath(table, group.day, commit, index),
      day: group.day,
      rows: group.rows,
      ranges: hasOffsets ? [group].map(rangeOf) : [],
    }
    results.push(...(await checkFile(session, stagedPath, file)))
    staged.push(await finished(stagedPath, file))
  }
  return { staged, results }
}

/** Waits until the disk has the file, and adds what identifies its bytes. */
export async function finished(
  stagedPath: string,
  file: Omit<LakeFile, 'sha256' | 'bytes'>,
): Promise<StagedFile> {
  await syncPath(stagedPath)
  return { stagedPath, file: { ...file, ...(await digestOf(stagedPath)) } }
}

/** Reads the file back and counts. @throws Error of DuckDB when it cannot be read as Parquet. */
export async function checkFile(
  session: DuckDbSession,
  path: string,
  file: Pick<LakeFile, 'table' | 'path' | 'day' | 'rows' | 'ranges'>,
): Promise<readonly CheckResult[]> {
  // The day is not in the file; a reader takes it from the folder.
  const from = `read_parquet(${sqlText(path)}, hive_partitioning = false)`
  const described = await session.rows(`DESCRIBE SELECT * FROM ${from}`)
  const faults = schemaFaults(
    file.table,
    described.map(([name, type]) => [String(name), String(type)]),
  )
  if (faults.some((fault) => fault.includes(' is missing, '))) {
    // Nothing can be counted by columns that are not there.
    const [row] = await session.rows(`SELECT count(*) FROM ${from}`)
    return fileResults(file, faults, fileCountsOf([row?.[0] ?? 0]))
  }
  const [row] = await session.rows(fileCheckSql(file.table, from, file.day))
  return fileResults(file, faults, fileCountsOf(row ?? []))
}

/** How the rows of a merged file are ordered: by time, so that groups of rows can be skipped by it. */
export function mergedOrder(table: LakeFile['table']): string {
  return [DAY_COLUMN[table], ...KEY_COLUMNS[table]].map((name) => `"${name}"`).join(', ')
}

function rangeOf({
  partition,
  first,
  last,
  rows,
}: LakeFile['ranges'][number]): LakeFile['ranges'][number] {
  return { partition, first, last, rows }
}

/** The results as a file of the table of checks. */
export async function stageResults(
  session: DuckDbSession,
  staging: string,
  results: readonly CheckResult[],
  commit: number,
  nowMs: number,
): Promise<readonly StagedFile[]> {
  if (results.length === 0) return []
  const buffer = await RowBuffer.open(session, 'checks', `checks_${commit}`)
  for (const [index, result] of results.entries()) {
    buffer.add(0, index, nowMs, checkRow(nowMs, commit, result))
  }
  const { staged } = await stageBuffer(session, staging, buffer, commit)
  await buffer.close()
  return staged
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED naming the first result that failed. */
export function refuseFailed(results: readonly CheckResult[]): void {
  const failed = results.filter(({ status }) => status === 'failed')
  const [first] = failed
  if (first === undefined) return
  throw new SluiceError(
    'SLUICE_LAKE_DAMAGED',
    `A batch failed its checks and was not committed: ${first.name} of ${first.file ?? first.table}: found ` +
      `${first.found}, expected ${first.expected} (${first.detail}); ${failed.length} checks failed in all.`,
    { details: { failed: failed.slice(0, 20) } },
  )
}

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

// Rows of one table on their way into files: held by DuckDB in columns, then written as one Parquet file for each day
// and partition.

/** Rows in one chunk of DuckDB. */
const CHUNK_ROWS = 2_048
/** Rows in one group of a file: what a reader skips or reads as a whole. */
const ROW_GROUP_ROWS = 122_880
const BYTES_PER_NUMBER = 8

/** Rows of one day and partition. */
export interface RowGroup {
  readonly day: string
  readonly dayNumber: number
  readonly partition: number
  readonly rows: number
  readonly first: number
  readonly last: number
}

const META = ['_day INTEGER', '_partition INTEGER', '_offset BIGINT']

/** How every Parquet file of a lake is written. */
export const PARQUET_OPTIONS = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`

export class RowBuffer {
  readonly table: LakeTable
  readonly #session: DuckDbSession
  readonly name: string
  readonly #connection: DuckDBConnection
  readonly #appender: DuckDBAppender
  readonly #types: readonly DuckDBType[]
  readonly #converters: readonly ((value: LakeValue) => DuckDBValue)[]
  #columns: DuckDBValue[][]
  #rows = 0
  #bytes = 0

  private constructor(
    session: DuckDbSession,
    table: LakeTable,
    name: string,
    connection: DuckDBConnection,
    appender: DuckDBAppender,
  ) {
    const { api } = session
    this.table = table
    this.#session = session
    this.name = name
    this.#connection = connection
    this.#appender = appender
    const columns = LAKE_COLUMNS[table]
    this.#types = [
      api.INTEGER,
      api.INTEGER,
      api.BIGINT,
      ...columns.map(({ type }) => duckTypeOf(api, type)),
    ]
    this.#converters = columns.map(({ type }) => converterOf(api, type))
    this.#columns = this.#types.map(() => [])
  }

  /** `name` is the buffer's own within the session. */
  static async open(session: DuckDbSession, table: LakeTable, name: string): Promise<RowBuffer> {
    const columns = LAKE_COLUMNS[table].map(
      ({ name: column, type }) => `${sqlName(column)} ${type}`,
    )
    await session.run(`CREATE TABLE ${sqlName(name)} (${[...META, ...columns].join(', ')})`)
    // Its own connection: else adding rows would wait for a file that is being written.
    const connection = await session.connect()
    const appender = await connection.createAppender(name)
    return new RowBuffer(session, table, name, connection, appender)
  }

  get rows(): number {
    return this.#rows
  }

  /** About how much the rows take. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a row of the message at `offset`. Hot path. */
  add(partition: number, offset: number, timeMs: number, row: LakeRow): void {
    const columns = this.#columns
    columns[0]?.push(Math.floor(timeMs / DAY_MS))
    columns[1]?.push(partition)
    columns[2]?.push(BigInt(offset))
    for (let index = 0; index < this.#converters.length; index += 1) {
      const value = row[index] ?? null
      columns[META.length + index]?.push(
        value === null ? null : (this.#converters[index]?.(value) ?? null),
      )
      this.#bytes += typeof value === 'string' ? value.length : BYTES_PER_NUMBER
    }
    this.#rows += 1
    if (this.#rows % CHUNK_ROWS === 0) this.#push()
  }

  /** Ends the taking; what days and partitions there are, in order. */
  async groups(): Promise<readonly RowGroup[]> {
    this.#push()
    this.#appender.closeSync()
    this.#connection.closeSync()
    const rows = await this.#session.rows(
      `SELECT _day, _partition, count(*), min(_offset), max(_offset) FROM ${sqlName(this.name)} ` +
        'GROUP BY _day, _partition ORDER BY _day, _partition',
    )
    return rows.map(([day, partition, count, first, last]) => ({
      day: dayOf(Number(day) * DAY_MS),
      dayNumber: Number(day),
      partition: Number(partition),
      rows: Number(count),
      first: Number(first),
      last: Number(last),
    }))
  }

  /** Writes the group's rows in offset order. */
  async write({ dayNumber, partition }: RowGroup, path: string): Promise<void> {
    await this.#session.run(
      `COPY (SELECT * EXCLUDE (_day, _partition, _offset) FROM ${sqlName(this.name)} ` +
        `WHERE _day = ${dayNumber} AND _partition = ${partition} ORDER BY _offset, rowid) ` +
        `TO ${sqlText(path)} (${PARQUET_OPTIONS})`,
    )
  }

  /** Also without rows having been grouped. */
  async close(): Promise<void> {
    await this.#session.run(`DROP TABLE ${sqlName(this.name)}`)
  }

  #push(): void {
    const count = this.#columns[0]?.length ?? 0
    if (count === 0) return
    const chunk = this.#session.api.DuckDBDataChunk.create(this.#types, count)
    chunk.setColumns(this.#columns)
    this.#appender.appendDataChunk(chunk)
    this.#columns = this.#types.map(() => [])
  }
}

function duckTypeOf(api: DuckDb, type: LakeType): DuckDBType {
  switch (type) {
    case 'VARCHAR':
      return api.VARCHAR
    case 'BIGINT':
      return api.BIGINT
    case 'INTEGER':
      return api.INTEGER
    case 'DOUBLE':
      return api.DOUBLE
    case 'TIMESTAMPTZ':
      return api.TIMESTAMPTZ
    case 'VARCHAR[]':
      return api.LIST(api.VARCHAR)
    case 'DOUBLE[]':
      return api.LIST(api.DOUBLE)
  }
}

function converterOf(api: DuckDb, type: LakeType): (value: LakeValue) => DuckDBValue {
  switch (type) {
    case 'BIGINT':
      return (value) => BigInt(value as number)
    case 'TIMESTAMPTZ':
      return (value) => new api.DuckDBTimestampTZValue(BigInt(value as number) * 1_000n)
    case 'VARCHAR[]':
    case 'DOUBLE[]':
      return (value) => new api.DuckDBListValue(value as readonly DuckDBValue[])
    case 'VARCHAR':
    case 'INTEGER':
    case 'DOUBLE':
      return (value) => value as string | number
  }
}
