// Names of folders and files in the lake. A file that was taken from a topic says in its name which offsets it holds.

import { DAY_MS } from '../features/catalogue/time.ts'
import { IMPORT_PARTITION, type LakeTable } from './lake-tables.ts'

/** Folder of the lake's own records, which readers of `table/day=…/*.parquet` do not look into. */
export const LAKE_RECORDS = '_sluice'

const OFFSET_DIGITS = 12
const PARTITION_DIGITS = 2
const COMMIT_DIGITS = 12
const INDEX_DIGITS = 4

/** The day in UTC, such as 2026-11-25. */
export function dayOf(timeMs: number): string {
  return new Date(Math.floor(timeMs / DAY_MS) * DAY_MS).toISOString().slice(0, 10)
}

/** Folder of a day, from the lake's own folder. */
export function dayFolder(table: LakeTable, day: string): string {
  return `${table}/day=${day}`
}

/** File of one flush: offsets `first` to `last` of one partition that fall on the day. */
export function partPath(
  table: LakeTable,
  day: string,
  place: { readonly partition: number; readonly first: number; readonly last: number },
): string {
  const partition =
    place.partition === IMPORT_PARTITION
      ? 'import'
      : `p${padded(place.partition, PARTITION_DIGITS)}`
  const [first, last] = [padded(place.first, OFFSET_DIGITS), padded(place.last, OFFSET_DIGITS)]
  return `${dayFolder(table, day)}/part-${partition}-o${first}-${last}.parquet`
}

/** File that a commit made of others, or of rows without offsets; `index` tells those of one day apart. */
export function mergedPath(table: LakeTable, day: string, commit: number, index: number): string {
  return `${dayFolder(table, day)}/part-c${padded(commit, COMMIT_DIGITS)}-${padded(index, INDEX_DIGITS)}.parquet`
}

/** File of a commit in the log. */
export function commitName(sequence: number): string {
  return `${padded(sequence, COMMIT_DIGITS)}.json`
}

/** File of a checkpoint: the state after that commit. */
export function checkpointName(sequence: number): string {
  return `checkpoint-${padded(sequence, COMMIT_DIGITS)}.json`
}

/** What a name in the log's folder is, or null when it is neither. */
export function parseLogName(
  name: string,
): { readonly kind: 'commit' | 'checkpoint'; readonly sequence: number } | null {
  const match = /^(checkpoint-)?(\d{12})\.json$/.exec(name)
  if (match === null) return null
  return { kind: match[1] === undefined ? 'commit' : 'checkpoint', sequence: Number(match[2]) }
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
