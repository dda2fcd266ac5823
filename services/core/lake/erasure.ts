// What a lake keeps of an erasing: when, how much, and by what reference, but nothing that tells which card it was. No
// hash either: tokens can be tried one after the other.

import { TOPIC_TABLES, type TopicTable } from './lake-tables.ts'

/** Longest reference of an erasure. */
export const REFERENCE_CHARACTERS_MAX = 100

/** Rows by table. */
export type TableRows = Readonly<Record<TopicTable, number>>

/** What one commit has erased. The commits of one run share the id. */
export interface ErasedRows {
  /** Of the run, by chance. */
  readonly id: string
  /** What a person has called it, such as the number of a request; null for nothing. */
  readonly reference: string | null
  /** Files that held the card, and that others have replaced. */
  readonly files: number
  readonly rows: TableRows
}

/** All that the commits of one run have erased. */
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

/** The erasures after one more commit; a run is one of them however many commits it has made. */
export function withErased(
  erasures: readonly LakeErasure[],
  erased: ErasedRows,
  at: { readonly commit: number; readonly atMs: number },
): readonly LakeErasure[] {
  const { commit, atMs } = at
  // The commits of a run follow one another, with nothing of another run between them.
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

/** Null when the value is none. */
export function parseErased(value: unknown): ErasedRows | null {
  if (!isRecord(value)) return null
  const { id, reference, files, rows } = value
  if (typeof id !== 'string' || !isCount(files) || !isRecord(rows)) return null
  if (reference !== null && typeof reference !== 'string') return null
  if (!TOPIC_TABLES.every((table) => isCount(rows[table]))) return null
  return { id, reference, files, rows: rowsBy((table) => Number(rows[table])) }
}

/** Null when the value is none. */
export function parseErasure(value: unknown): LakeErasure | null {
  const erased = parseErased(value)
  if (erased === null || !isRecord(value)) return null
  const { firstMs, lastMs, commit } = value
  if (!isCount(firstMs) || !isCount(lastMs) || !isCount(commit)) return null
  return { ...erased, firstMs, lastMs, commit }
}

/** All erasures as one line for people who read history from the lake; null when there are none. */
export function erasedText(erasures: readonly LakeErasure[]): string | null {
  if (erasures.length === 0) return null
  const rows = erasures.reduce((sum, erasure) => addRows(sum, erasure.rows), NO_ROWS)
  return (
    `${erasures.length} ${erasures.length === 1 ? 'erasure has' : 'erasures have'} taken ${rows.transactions} transactions, ` +
    `${rows.decisions} decisions and ${rows.labels} labels out of the lake; they have no part in this.`
  )
}

/** A number for each table. */
export function rowsBy(count: (table: TopicTable) => number): TableRows {
  return {
    transactions: count('transactions'),
    decisions: count('decisions'),
    labels: count('labels'),
    dead_letters: count('dead_letters'),
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
