// Turns buffered rows into finished files in the staging folder: written, synced, digested, and checked by reading them
// back.

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

/** Writes and checks all rows of the buffer; `commit` is the number of the next commit, used in file names. */
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

/** Syncs the file to disk, and adds its size and digest. */
export async function finished(
  stagedPath: string,
  file: Omit<LakeFile, 'sha256' | 'bytes'>,
): Promise<StagedFile> {
  await syncPath(stagedPath)
  return { stagedPath, file: { ...file, ...(await digestOf(stagedPath)) } }
}

/** Checks a file by reading it back. @throws Error of DuckDB when it cannot be read as Parquet. */
export async function checkFile(
  session: DuckDbSession,
  path: string,
  file: Pick<LakeFile, 'table' | 'path' | 'day' | 'rows' | 'ranges'>,
): Promise<readonly CheckResult[]> {
  // The day is not a column of the file; readers take it from the folder.
  const from = `read_parquet(${sqlText(path)}, hive_partitioning = false)`
  const described = await session.rows(`DESCRIBE SELECT * FROM ${from}`)
  const faults = schemaFaults(
    file.table,
    described.map(([name, type]) => [String(name), String(type)]),
  )
  if (faults.some((fault) => fault.includes(' is missing, '))) {
    // The other checks need the missing columns.
    const [row] = await session.rows(`SELECT count(*), 0, 0, 0, 0, NULL, NULL FROM ${from}`)
    return fileResults(file, faults, fileCountsOf(row ?? []))
  }
  const [row] = await session.rows(fileCheckSql(file.table, from, file.day))
  return fileResults(file, faults, fileCountsOf(row ?? []))
}

/** The order of the rows of a merged file: by time, so that readers can skip row groups by time. */
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

/** Writes the results to a file of the table `checks`. */
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
    `A batch failed its checks and was not committed: ${first.name} of ${first.file ?? first.table} found ` +
      `${first.found}, expected ${first.expected} (${first.detail}); ${failed.length} checks failed in all.`,
    { details: { failed: failed.slice(0, 20) } },
  )
}

/** A fingerprint of a set of rows that does not depend on their order: `count/sum of hashes`. */
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

// Rows of one table before they become files: buffered in DuckDB, then written as one Parquet file per day and partition.

/** Rows of one DuckDB data chunk. */
const CHUNK_ROWS = 2_048
/** Rows of one Parquet row group, the unit that a reader skips or reads. */
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

/** Options of every Parquet file of a lake. */
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

  /** `name` must be unique within the session. */
  static async open(session: DuckDbSession, table: LakeTable, name: string): Promise<RowBuffer> {
    const columns = LAKE_COLUMNS[table].map(
      ({ name: column, type }) => `${sqlName(column)} ${type}`,
    )
    await session.run(`CREATE TABLE ${sqlName(name)} (${[...META, ...columns].join(', ')})`)
    // A separate connection, so that adding rows does not wait for a file being written.
    const connection = await session.connect()
    const appender = await connection.createAppender(name)
    return new RowBuffer(session, table, name, connection, appender)
  }

  get rows(): number {
    return this.#rows
  }

  /** Approximate size of the rows. */
  get bytes(): number {
    return this.#bytes
  }

  /** Adds a row of the message at `offset`. Hot path. */
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

  /** Ends the adding of rows, and returns the days and partitions in order. */
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

  /** May be called without `groups` having been called. */
  async close(): Promise<void> {
    await this.#session.run(`DROP TABLE ${sqlName(this.name)}`)
  }

  #push(): void {
    const [first = []] = this.#columns
    const count = first.length
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
