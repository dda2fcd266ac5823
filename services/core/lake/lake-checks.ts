// Checks of the lake's data: invariants of every file and of every ingested range of offsets, and their results.

import assert from 'node:assert/strict'
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

/** `explained`: the counts differ for a known reason, stated in the detail. */
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

/** The column with the offset of a row's message in its topic. */
export const OFFSET_COLUMN: Readonly<Record<LakeTable, string | null>> = {
  transactions: 'log_offset',
  decisions: 'batch_offset',
  labels: 'log_offset',
  dead_letters: 'log_offset',
  checks: null,
}

/** The counts of `fileCheckSql`, in its order. */
export interface FileCounts {
  readonly rows: number
  readonly nulls: number
  readonly outOfRange: number
  readonly otherDay: number
  readonly repeated: number
  readonly firstOffset: number | null
  readonly lastOffset: number | null
}

/** A statement that computes all counts in one scan of `from`. */
export function fileCheckSql(table: LakeTable, from: string, day: string): string {
  const columns = LAKE_COLUMNS[table]
  const nulls = columns.filter(({ nullable }) => !nullable).map(({ name }) => `"${name}" IS NULL`)
  const outside = columns.flatMap(({ name, range }) =>
    range === undefined ? [] : [`"${name}" NOT BETWEEN ${range[0]} AND ${range[1]}`],
  )
  // DuckDB orders NaN above every number, so a range check finds it; columns without a range need their own check.
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

/** The counts in the row that the statement returns. */
export function fileCountsOf(row: readonly unknown[]): FileCounts {
  const count = (index: number): number => {
    const value = row[index] ?? null
    assert(value !== null, 'The statement counts everything.')
    return Number(value)
  }
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

/** Columns that are missing, unexpected, or of another type. */
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
  return [...faults, ...extra.map((name) => `${name} is not a column of ${table}`)]
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
    result('rows', counts.rows, of.rows, 'the file has a different number of rows'),
    result('nulls', counts.nulls, 0, 'rows without a required value'),
    result('ranges', counts.outOfRange, 0, 'rows with a value out of range'),
    result('day', counts.otherDay, 0, 'rows of a different day'),
    result('duplicates', counts.repeated, 0, 'rows with a duplicate key'),
  ]
  if (range === null) return results
  return [
    ...results,
    result('first_offset', counts.firstOffset ?? -1, range.first, 'not as listed'),
    result('last_offset', counts.lastOffset ?? -1, range.last, 'not as listed'),
  ]
}

/** Counts of the messages read from a range of one partition. */
export interface OffsetCounts {
  /** The range includes `first` and excludes `next`. */
  readonly first: number
  readonly next: number
  readonly ingested: number
  readonly watermarks: number
  /** Messages that cannot be decoded; the scorer turns them into dead letters. */
  readonly unreadable: number
}

/** Checks that every offset of the range is an ingested message or is explained. */
export function offsetsResult(
  table: LakeTable,
  partition: number,
  { first, next, ingested, watermarks, unreadable }: OffsetCounts,
): CheckResult {
  const expected = next - first
  const unseen = expected - ingested - watermarks - unreadable
  const parts = [
    ...(watermarks > 0 ? [`${watermarks} watermarks`] : []),
    ...(unreadable > 0 ? [`${unreadable} that cannot be decoded`] : []),
    ...(unseen > 0
      ? [`${unseen} invisible to transactional consumers (transaction markers, aborted messages)`]
      : []),
  ]
  const status = unseen < 0 ? 'failed' : parts.length === 0 ? 'ok' : 'explained'
  return {
    table,
    file: null,
    range: { partition, first, last: next - 1 },
    name: 'offsets',
    status,
    found: ingested,
    expected,
    detail: unseen < 0 ? `${-unseen} more messages than offsets` : parts.join(', '),
  }
}

/** A range that the topic deleted before it was ingested, accepted by an operator. */
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
    detail: 'deleted from the topic before it was ingested; accepted with --accept-gap',
  }
}

/** Rows ingested earlier and removed by an erasure; `of` is the range of the file in that partition. */
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
    detail: 'rows that were ingested and later erased with their card',
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

/** From the first to the last offset; null without ranges. The partition is -1 when there are several. */
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
