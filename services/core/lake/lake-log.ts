// The log of the lake: numbered commits, each of which atomically adds and removes files and advances offsets. The state
// of the lake is the fold of all commits; a checkpoint stores that fold, so old commits can be removed.

import { SluiceError } from '../errors.ts'
import { DAY_MS } from '../features/catalogue/time.ts'
import {
  IMPORT_PARTITION,
  LAKE_TABLES,
  type LakeTable,
  TOPIC_TABLES,
  type TopicTable,
} from './lake-tables.ts'

export const LOG_FORMAT = 1

/** The range of offsets of one partition in a file. Rows of other days within it are in other files. */
export interface FileRange {
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly rows: number
}

/** One file of the lake. */
export interface LakeFile {
  readonly table: LakeTable
  /** Relative to the lake's folder, with forward slashes. */
  readonly path: string
  readonly day: string
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
  /** Empty where rows have no offsets. */
  readonly ranges: readonly FileRange[]
}

export const COMMIT_KINDS = [
  'create',
  'open',
  'ingest',
  'import',
  'compact',
  'check',
  'erase',
] as const
export type CommitKind = (typeof COMMIT_KINDS)[number]

/** An imported file. */
export interface ImportedSource {
  readonly name: string
  readonly sha256: string
}

export interface LakeCommit {
  readonly format: typeof LOG_FORMAT
  readonly sequence: number
  readonly atMs: number
  readonly kind: CommitKind
  /** Name of the writing command. */
  readonly writer: string
  /** Prefix of the topics that fill this lake; only in `create`. */
  readonly topicPrefix?: string
  readonly added: readonly LakeFile[]
  /** Paths. */
  readonly removed: readonly string[]
  /** First offset not yet ingested, by `table/partition`; only those that advanced. */
  readonly next: Readonly<Record<string, number>>
  readonly sources?: readonly ImportedSource[]
  /** Only in `erase`. */
  readonly erased?: ErasedRows
}

/** The state of the lake after a commit. */
export interface LakeState {
  /** Number of the newest commit; -1 when the lake does not exist. */
  readonly sequence: number
  readonly topicPrefix: string | null
  readonly files: ReadonlyMap<string, LakeFile>
  readonly next: ReadonlyMap<string, number>
  readonly sources: readonly ImportedSource[]
  /** Oldest first. */
  readonly erasures: readonly LakeErasure[]
}

export const NO_LAKE: LakeState = {
  sequence: -1,
  topicPrefix: null,
  files: new Map(),
  next: new Map(),
  sources: [],
  erasures: [],
}

/** Key of `next`. */
export function partitionKey(table: LakeTable, partition: number): string {
  return `${table}/${partition}`
}

/** The state after the commits. @throws SluiceError SLUICE_LAKE_DAMAGED when they are not consecutive. */
export function applyCommits(state: LakeState, commits: readonly LakeCommit[]): LakeState {
  const files = new Map(state.files)
  const next = new Map(state.next)
  const sources = [...state.sources]
  let { sequence, topicPrefix, erasures } = state
  for (const commit of commits) {
    if (commit.sequence !== sequence + 1) {
      throw damaged(`commit ${commit.sequence} follows ${sequence}`)
    }
    sequence = commit.sequence
    topicPrefix = commit.topicPrefix ?? topicPrefix
    for (const path of commit.removed) {
      if (!files.delete(path))
        throw damaged(`commit ${sequence} removes ${path}, which is not there`)
    }
    for (const file of commit.added) {
      if (files.has(file.path)) throw damaged(`commit ${sequence} adds ${file.path} again`)
      files.set(file.path, file)
    }
    for (const [place, offset] of Object.entries(commit.next)) {
      if (offset < (next.get(place) ?? 0)) {
        throw damaged(`commit ${sequence} takes ${place} back to ${offset}`)
      }
      next.set(place, offset)
    }
    sources.push(...(commit.sources ?? []))
    if (commit.erased !== undefined) {
      erasures = withErased(erasures, commit.erased, { commit: sequence, atMs: commit.atMs })
    }
  }
  return { sequence, topicPrefix, files, next, sources, erasures }
}

/** The checkpoint of a state. */
export function checkpointOf(state: LakeState): object {
  const { sequence, topicPrefix, files, next, sources, erasures } = state
  return {
    format: LOG_FORMAT,
    sequence,
    topicPrefix,
    files: [...files.values()],
    next: Object.fromEntries(next),
    sources,
    erasures,
  }
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED when the value is not a checkpoint. */
export function stateOfCheckpoint(name: string, value: unknown): LakeState {
  const fields = fieldsOf(name, value)
  const files = listOf(name, fields['files']).map((file) => fileOf(name, file))
  const { sequence, topicPrefix } = fields
  if (!isCount(sequence) || (topicPrefix !== null && typeof topicPrefix !== 'string')) {
    throw damaged(`${name} has no sequence or prefix`)
  }
  return {
    sequence,
    topicPrefix,
    files: new Map(files.map((file) => [file.path, file])),
    next: new Map(Object.entries(offsetsOf(name, fields['next']))),
    sources: listOf(name, fields['sources']).map((source) => sourceOf(name, source)),
    erasures: listOf(name, fields['erasures']).map((value) =>
      known(parseErasure(value), `${name} lists an invalid erasure`),
    ),
  }
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED when the value is not a commit. */
export function parseCommit(name: string, value: unknown): LakeCommit {
  const fields = fieldsOf(name, value)
  const { sequence, atMs, writer, removed, topicPrefix, sources, erased } = fields
  const kind = COMMIT_KINDS.find((each) => each === fields['kind'])
  if (!isCount(sequence) || !isCount(atMs) || kind === undefined || typeof writer !== 'string') {
    throw damaged(`${name} is no commit`)
  }
  return {
    format: LOG_FORMAT,
    sequence,
    atMs,
    kind,
    writer,
    ...(typeof topicPrefix === 'string' ? { topicPrefix } : {}),
    added: listOf(name, fields['added']).map((file) => fileOf(name, file)),
    removed: listOf(name, removed).map((path) => textOf(name, path)),
    next: offsetsOf(name, fields['next']),
    ...(sources === undefined
      ? {}
      : { sources: listOf(name, sources).map((source) => sourceOf(name, source)) }),
    ...(erased === undefined
      ? {}
      : { erased: known(parseErased(erased), `${name} has erased what cannot be told`) }),
  }
}

export function damaged(what: string): SluiceError {
  return new SluiceError(
    'SLUICE_LAKE_DAMAGED',
    `The lake's log is damaged: ${what}. Restore the lake's folder from a copy, or fill a new lake.`,
  )
}

function known<Value>(value: Value | null, fault: string): Value {
  if (value === null) throw damaged(fault)
  return value
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(name: string, value: unknown): Fields {
  if (!isRecord(value)) throw damaged(`${name} is no object`)
  if (value['format'] !== LOG_FORMAT) throw damaged(`${name} is not of format ${LOG_FORMAT}`)
  return value
}

function fileOf(name: string, value: unknown): LakeFile {
  if (!isRecord(value)) throw damaged(`${name} lists an invalid file`)
  const { rows, bytes, ranges } = value
  const table = LAKE_TABLES.find((each) => each === value['table'])
  if (table === undefined || !isCount(rows) || !isCount(bytes)) {
    throw damaged(`${name} lists a file of no table, or without counts`)
  }
  const [path, day, sha256] = [value['path'], value['day'], value['sha256']].map((text) =>
    textOf(name, text),
  ) as [string, string, string]
  // Paths are opened and removed, so a path that leads out of the lake is refused.
  if (!path.startsWith(`${table}/day=${day}/`) || path.includes('..')) {
    throw damaged(`${name} lists ${path} as a file of ${table}`)
  }
  return { table, path, day, rows, bytes, sha256, ranges: listOf(name, ranges).map(rangeOf(name)) }
}

function rangeOf(name: string): (value: unknown) => FileRange {
  return (value) => {
    if (!isRecord(value)) throw damaged(`${name} lists an invalid range`)
    const { partition, first, last, rows } = value
    if (typeof partition !== 'number' || !isCount(first) || !isCount(last) || !isCount(rows)) {
      throw damaged(`${name} lists a range without offsets`)
    }
    return { partition, first, last, rows }
  }
}

function sourceOf(name: string, value: unknown): ImportedSource {
  if (!isRecord(value)) throw damaged(`${name} lists an invalid source`)
  return { name: textOf(name, value['name']), sha256: textOf(name, value['sha256']) }
}

function offsetsOf(name: string, value: unknown): Readonly<Record<string, number>> {
  if (!isRecord(value)) throw damaged(`${name} has no offsets`)
  const entries = Object.entries(value).map(([place, offset]): [string, number] => {
    if (!isCount(offset)) throw damaged(`${name} has no offset for ${place}`)
    return [place, offset]
  })
  return Object.fromEntries(entries)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function listOf(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw damaged(`${name} lacks a list`)
  return value
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw damaged(`${name} lacks a text`)
  return value
}

// Names of folders and files in the lake. A file filled from a topic has its range of offsets in its name.

/** Folder of the lake's own records, outside the pattern `table/day=…/*.parquet` of its data. */
export const LAKE_RECORDS = '_sluice'

const OFFSET_DIGITS = 12
const PARTITION_DIGITS = 2
const COMMIT_DIGITS = 12
const INDEX_DIGITS = 4

/** The day in UTC, such as 2026-11-25. */
export function dayOf(timeMs: number): string {
  return new Date(Math.floor(timeMs / DAY_MS) * DAY_MS).toISOString().slice(0, 10)
}

/** Folder of a day, relative to the lake's folder. */
export function dayFolder(table: LakeTable, day: string): string {
  return `${table}/day=${day}`
}

/** Path of a flushed file: offsets `first` to `last` of one partition that fall on the day. */
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

/** Path of a file merged from others, or of rows without offsets; `index` distinguishes files of one commit and day. */
export function mergedPath(table: LakeTable, day: string, commit: number, index: number): string {
  return `${dayFolder(table, day)}/part-c${padded(commit, COMMIT_DIGITS)}-${padded(index, INDEX_DIGITS)}.parquet`
}

/** File name of a commit in the log. */
export function commitName(sequence: number): string {
  return `${padded(sequence, COMMIT_DIGITS)}.json`
}

/** File name of the checkpoint after that commit. */
export function checkpointName(sequence: number): string {
  return `checkpoint-${padded(sequence, COMMIT_DIGITS)}.json`
}

/** Kind and number of a file in the log's folder; null for any other name. */
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

// The record of an erasure: when, how much, and under which reference, but nothing that identifies the card. A hash of
// the card would, since tokens can be tried one by one.

/** Longest reference of an erasure. */
export const REFERENCE_CHARACTERS_MAX = 100

/** Rows by table. */
export type TableRows = Readonly<Record<TopicTable, number>>

/** Rows erased by one commit. The commits of one run share the id. */
export interface ErasedRows {
  /** Random id of the run. */
  readonly id: string
  /** A name given by an operator, such as the number of a request; null for none. */
  readonly reference: string | null
  /** Files that contained the card and were replaced. */
  readonly files: number
  readonly rows: TableRows
}

/** Rows erased by all commits of one run. */
export interface LakeErasure extends ErasedRows {
  /** Times of the first and of the newest commit. */
  readonly firstMs: number
  readonly lastMs: number
  /** The newest commit. */
  readonly commit: number
}

export const NO_ROWS: TableRows = { transactions: 0, decisions: 0, labels: 0, dead_letters: 0 }

export function addRows(left: TableRows, right: TableRows): TableRows {
  return rowsBy((table) => left[table] + right[table])
}

/** Rows of all tables. */
export function totalRows(rows: TableRows): number {
  return TOPIC_TABLES.reduce((sum, table) => sum + rows[table], 0)
}

/** The erasures after one more commit; all commits of a run count as one erasure. */
export function withErased(
  erasures: readonly LakeErasure[],
  erased: ErasedRows,
  at: { readonly commit: number; readonly atMs: number },
): readonly LakeErasure[] {
  const { commit, atMs } = at
  // The commits of a run are consecutive, so only the newest erasure can be of the same run.
  const last = erasures.at(-1)
  if (last?.id !== erased.id) {
    return [...erasures, { ...erased, firstMs: atMs, lastMs: atMs, commit }]
  }
  const grown = {
    ...last,
    files: last.files + erased.files,
    rows: addRows(last.rows, erased.rows),
    lastMs: atMs,
    commit,
  }
  return [...erasures.slice(0, -1), grown]
}

/** Null when the value is not a record of erased rows. */
export function parseErased(value: unknown): ErasedRows | null {
  if (!isRecord(value)) return null
  const { id, reference, files, rows } = value
  if (typeof id !== 'string' || !isCount(files) || !isRecord(rows)) return null
  if (reference !== null && typeof reference !== 'string') return null
  if (!TOPIC_TABLES.every((table) => isCount(rows[table]))) return null
  return { id, reference, files, rows: rowsBy((table) => Number(rows[table])) }
}

/** Null when the value is not an erasure. */
export function parseErasure(value: unknown): LakeErasure | null {
  const erased = parseErased(value)
  if (erased === null || !isRecord(value)) return null
  const { firstMs, lastMs, commit } = value
  if (!isCount(firstMs) || !isCount(lastMs) || !isCount(commit)) return null
  return { ...erased, firstMs, lastMs, commit }
}

/** All erasures in one line, for commands that read history from the lake; null when there are none. */
export function erasedText(erasures: readonly LakeErasure[]): string | null {
  if (erasures.length === 0) return null
  const rows = erasures.reduce((sum, erasure) => addRows(sum, erasure.rows), NO_ROWS)
  return (
    `${erasures.length} ${erasures.length === 1 ? 'erasure has' : 'erasures have'} removed ${rows.transactions} transactions, ` +
    `${rows.decisions} decisions and ${rows.labels} labels from the lake; they are not included here.`
  )
}

/** A count for each table. */
export function rowsBy(count: (table: TopicTable) => number): TableRows {
  return {
    transactions: count('transactions'),
    decisions: count('decisions'),
    labels: count('labels'),
    dead_letters: count('dead_letters'),
  }
}
