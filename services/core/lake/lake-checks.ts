// What must be true of every file of the lake and of every range of offsets that was taken, and how it is told.

import type { FileRange } from './lake-log.ts'
import {
  DAY_COLUMN,
  KEY_COLUMNS,
  LAKE_COLUMNS,
  type LakeRow,
  type LakeTable,
} from './lake-tables.ts'

/** Closed list. */
export const CHECK_NAMES = [
  'schema',
  'rows',
  'nulls',
  'ranges',
  'day',
  'duplicates',
  'first_offset',
  'last_offset',
  'offsets',
  'gap',
  'erased',
  'bytes',
  'readable',
  'repeated_in_table',
  'ranges_follow',
  'rows_of_ranges',
  'answered',
] as const
export type CheckName = (typeof CHECK_NAMES)[number]

/** `explained`: not what one would count, for a reason that is known and stated. */
export const CHECK_STATUSES = ['ok', 'explained', 'failed'] as const
export type CheckStatus = (typeof CHECK_STATUSES)[number]

export interface CheckResult {
  readonly table: LakeTable
  readonly file: string | null
  readonly range: Pick<FileRange, 'partition' | 'first' | 'last'> | null
  readonly name: CheckName
  readonly status: CheckStatus
  readonly found: number
  readonly expected: number
  readonly detail: string
}

/** The result of a comparison; `detail` explains a failure and is dropped when the two numbers are equal. */
export function comparison(
  of: Pick<CheckResult, 'table' | 'file' | 'range' | 'name'>,
  found: number,
  expected: number,
  detail: string,
): CheckResult {
  const isOk = found === expected
  return {
    table: of.table,
    file: of.file,
    range: of.range,
    name: of.name,
    status: isOk ? 'ok' : 'failed',
    found,
    expected,
    detail: isOk ? '' : detail,
  }
}

/** The column that says where in its topic a row's message stands. */
export const OFFSET_COLUMN: Readonly<Record<LakeTable, string | null>> = {
  transactions: 'log_offset',
  decisions: 'block_offset',
  labels: 'log_offset',
  dead_letters: 'log_offset',
  checks: null,
}

/** What `fileCheckSql` counts, in its order. */
export interface FileCounts {
  readonly rows: number
  readonly nulls: number
  readonly outOfRange: number
  readonly otherDay: number
  readonly repeated: number
  readonly firstOffset: number | null
  readonly lastOffset: number | null
}

/** Counts all of it in one reading of the rows that `from` names. */
export function fileCheckSql(table: LakeTable, from: string, day: string): string {
  const columns = LAKE_COLUMNS[table]
  const nulls = columns.filter(({ nullable }) => !nullable).map(({ name }) => `"${name}" IS NULL`)
  const outside = columns.flatMap(({ name, range }) =>
    range === undefined ? [] : [`"${name}" NOT BETWEEN ${range[0]} AND ${range[1]}`],
  )
  // NaN is above every number to DuckDB, so a range finds it; infinite features have none.
  const endless = columns.flatMap(({ name, type, range }) =>
    type === 'DOUBLE' && range === undefined ? [`NOT isfinite("${name}")`] : [],
  )
  const keys = KEY_COLUMNS[table].map((name) => `"${name}"`)
  const offset = OFFSET_COLUMN[table]
  const repeated = keys.length === 0 ? '0' : `count(*) - count(DISTINCT (${keys.join(', ')}))`
  const [first, last] =
    offset === null ? ['NULL', 'NULL'] : [`min("${offset}")`, `max("${offset}")`]
  return (
    `SELECT count(*), ${countIf(nulls)}, ${countIf([...outside, ...endless])}, ` +
    `${countIf([`CAST("${DAY_COLUMN[table]}" AS DATE) <> DATE '${day}'`])}, ` +
    `${repeated}, ${first}, ${last} FROM ${from}`
  )
}

/** The counts of the answer. */
export function fileCountsOf(row: readonly unknown[]): FileCounts {
  const count = (index: number): number => Number(row[index] ?? 0)
  const offset = (index: number): number | null => {
    const value = row[index] ?? null
    return value === null ? null : Number(value)
  }
  return {
    rows: count(0),
    nulls: count(1),
    outOfRange: count(2),
    otherDay: count(3),
    repeated: count(4),
    firstOffset: offset(5),
    lastOffset: offset(6),
  }
}

/** How many columns are not as they should be: missing, too many, or of another type. */
export function schemaFaults(
  table: LakeTable,
  found: readonly (readonly [name: string, type: string])[],
): readonly string[] {
  const types = new Map(found.map(([name, type]) => [name, plainType(type)]))
  const expected = LAKE_COLUMNS[table]
  const faults = expected
    .filter(({ name, type }) => types.get(name) !== type)
    .map(({ name, type }) => `${name} is ${types.get(name) ?? 'missing'}, not ${type}`)
  const known = new Set(expected.map(({ name }) => name))
  const extra = [...types.keys()].filter((name) => !known.has(name))
  return [...faults, ...extra.map((name) => `${name} is no column of ${table}`)]
}

/** All checks of one file. */
export function fileResults(
  of: {
    readonly table: LakeTable
    readonly path: string
    readonly rows: number
    readonly ranges: readonly FileRange[]
  },
  faults: readonly string[],
  counts: FileCounts,
): readonly CheckResult[] {
  const { table, path: file, ranges } = of
  const range = wholeOf(ranges)
  const result = (name: CheckName, found: number, expected: number, detail: string): CheckResult =>
    comparison({ table, file, range, name }, found, expected, detail)
  const results = [
    result('schema', faults.length, 0, faults.slice(0, 5).join('; ')),
    result('rows', counts.rows, of.rows, 'the file holds another number of rows'),
    result('nulls', counts.nulls, 0, 'rows without a value that every row has'),
    result('ranges', counts.outOfRange, 0, 'rows with a value out of range'),
    result('day', counts.otherDay, 0, 'rows of another day'),
    result('duplicates', counts.repeated, 0, 'rows with the key of another row'),
  ]
  if (range === null) return results
  return [
    ...results,
    result('first_offset', counts.firstOffset ?? -1, range.first, 'not as listed'),
    result('last_offset', counts.lastOffset ?? -1, range.last, 'not as listed'),
  ]
}

/** What was read of a range of one partition. */
export interface OffsetCounts {
  /** From `first` up to but without `next`. */
  readonly first: number
  readonly next: number
  readonly taken: number
  readonly watermarks: number
  /** Messages that nobody can decode; the scorer makes dead letters of them. */
  readonly unreadable: number
}

/** Every offset of the range is a message that was taken, or is explained. */
export function offsetsResult(
  table: LakeTable,
  partition: number,
  { first, next, taken, watermarks, unreadable }: OffsetCounts,
): CheckResult {
  const expected = next - first
  const unseen = expected - taken - watermarks - unreadable
  const parts = [
    ...(watermarks > 0 ? [`${watermarks} watermarks`] : []),
    ...(unreadable > 0 ? [`${unreadable} that cannot be decoded`] : []),
    ...(unseen > 0
      ? [`${unseen} that no committed reader sees (ends of Kafka transactions, aborted messages)`]
      : []),
  ]
  const status = unseen < 0 ? 'failed' : parts.length === 0 ? 'ok' : 'explained'
  return {
    table,
    file: null,
    range: { partition, first, last: next - 1 },
    name: 'offsets',
    status,
    found: taken,
    expected,
    detail: unseen < 0 ? `${-unseen} messages more than offsets` : parts.join(', '),
  }
}

/** A stretch that the topic had lost before it was taken, and that a person has accepted. */
export function gapResult(
  table: LakeTable,
  partition: number,
  first: number,
  next: number,
): CheckResult {
  return {
    table,
    file: null,
    range: { partition, first, last: next - 1 },
    name: 'gap',
    status: 'explained',
    found: 0,
    expected: next - first,
    detail: 'gone from the topic before it was taken, accepted with --accept-gap',
  }
}

/** Rows that were taken and that an erasure has taken out again; `of` is where the file held rows of the partition. */
export function erasedResult(
  table: LakeTable,
  of: Pick<FileRange, 'partition' | 'first' | 'last'>,
  rows: number,
): CheckResult {
  return {
    table,
    file: null,
    range: { partition: of.partition, first: of.first, last: of.last },
    name: 'erased',
    status: 'explained',
    found: rows,
    expected: 0,
    detail: 'rows that were taken, and then erased with their card',
  }
}

/** The result as a row of the table of checks. */
export function checkRow(checkedAtMs: number, commit: number, of: CheckResult): LakeRow {
  return [
    checkedAtMs,
    commit,
    of.table,
    of.file,
    of.range?.partition ?? null,
    of.range?.first ?? null,
    of.range?.last ?? null,
    of.name,
    of.status,
    of.found,
    of.expected,
    of.detail,
  ]
}

/** From the first to the last offset; null without ranges. The partition is that of the only one, else -1. */
function wholeOf(ranges: readonly FileRange[]): CheckResult['range'] {
  const [only] = ranges
  if (only === undefined) return null
  return {
    partition: ranges.length === 1 ? only.partition : -1,
    first: Math.min(...ranges.map(({ first }) => first)),
    last: Math.max(...ranges.map(({ last }) => last)),
  }
}

function countIf(conditions: readonly string[]): string {
  return conditions.length === 0 ? '0' : `count(*) FILTER (WHERE ${conditions.join(' OR ')})`
}

function plainType(type: string): string {
  return type === 'TIMESTAMP WITH TIME ZONE' ? 'TIMESTAMPTZ' : type
}
