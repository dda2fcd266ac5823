// Decisions day by day: each decision of revision 0 with its transaction, the requested features, and its newest label.
// All three tables are partitioned by the day of the transaction's event time, so each day is joined separately and
// memory does not grow with the lake.

import assert from 'node:assert/strict'
import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../core/features/catalogue/feature-list.ts'
import { DAY_MS } from '../core/features/catalogue/time.ts'
import { STATE } from '../core/features/engine/feature-states.ts'
import {
  FEATURE_PREFIX,
  LAKE_COLUMNS,
  type LakeRow,
  transactionOfRow,
} from '../core/lake/lake-tables.ts'
import type { Transaction } from '../core/transaction.ts'
import { OUTCOMES, type Outcome } from '../core/wire/records.ts'
import { sqlName } from '../platform/lake/duckdb.ts'
import {
  type LakeReader,
  openLakeReader,
  pathsOf,
  readFailure,
  readFiles,
} from '../platform/lake/lake-views.ts'

/** Reasons for which a decision is skipped. Closed list. */
export const LEFT_OUT = ['duplicate', 'other_feature_list', 'without_transaction'] as const
export type LeftOut = (typeof LEFT_OUT)[number]

/** A recorded decision with its inputs. */
export interface DecidedRow {
  readonly transaction: Transaction
  /** FEATURE_COUNT values; NaN where absent, and for features not requested. */
  readonly row: Float64Array
  /** FEATURE_COUNT states; for features not requested only expired and degraded are reliable. */
  readonly states: Uint8Array
  /** NaN is not scored. */
  readonly score: number
  readonly annotations: readonly string[]
  readonly outcome: Outcome
  readonly rules: readonly string[]
  readonly modelDigest: string
  /** Digest of the ruleset; of the built-in policy when the version is 0. */
  readonly policyDigest: string
  readonly policyVersion: number
  readonly label: { readonly verdict: 'fraud' | 'genuine'; readonly knownAtMs: number } | null
}

export interface DecidedOptions {
  readonly folder: string
  /** Event times from `fromMs` (inclusive) to `endMs` (exclusive). */
  readonly fromMs: number
  readonly endMs: number
  /** Names of the features to read. */
  readonly features: readonly string[]
  /** Labels known later are ignored; null is the newest time in the lake. */
  readonly asOfMs: number | null
  /** Only decisions made from this time on, by the scorer's clock; all by default. */
  readonly decidedFromMs?: number
}

export interface DecidedSource {
  /** Time up to which labels count. */
  readonly asOfMs: number
  /** First and last event time of all decisions in the lake; null when there are none. */
  readonly span: { readonly firstMs: number; readonly lastMs: number } | null
  /** UTC days with decisions in the range, in order. */
  readonly days: readonly string[]
  readonly leftOut: Readonly<Record<LeftOut, number>>
  /** Rows of one day by event time, in chunks. Each chunk has its own arrays. */
  rows(day: string): AsyncGenerator<readonly DecidedRow[], void, undefined>
  close(): Promise<void>
}

/** Columns of the decision and its label, followed by those of the transaction and the features. */
const OWN_COLUMNS = [
  'd.outcome',
  'd.score',
  "array_to_string(d.annotations, ',')",
  "array_to_string(coalesce(d.rules, []), ',')",
  'd.model_digest',
  `d.feature_list_hash = '${FEATURE_LIST_HASH}'`,
  'd.duplicate_of_offset IS NOT NULL',
  'd.policy_digest',
  'coalesce(d.policy_version, 0)',
  "array_to_string(coalesce(d.features_expired, []), ',')",
  "array_to_string(coalesce(d.features_degraded, []), ',')",
  'l.verdict',
  'CAST(epoch_ms(l.known_at) AS DOUBLE)',
] as const

/** Columns of the transaction. Integers are read as doubles, since bigints would be converted cell by cell. */
const TRANSACTION_COLUMNS = LAKE_COLUMNS.transactions.map(({ name, type }) => {
  if (type === 'TIMESTAMPTZ') return `CAST(epoch_ms(t.${name}) AS DOUBLE)`
  return type === 'BIGINT' ? `CAST(t.${name} AS DOUBLE)` : `t.${name}`
})
/** Index of the id among them; its cell is null when there is no transaction. */
const ID_COLUMN = LAKE_COLUMNS.transactions.findIndex(({ name }) => name === 'id')

/** @throws SluiceError as openLakeReader. */
export async function openDecided(options: DecidedOptions): Promise<DecidedSource> {
  const reader = await openLakeReader(options.folder)
  try {
    return await DecidedReader.open(reader, options)
  } catch (error) {
    await reader.close()
    throw readFailure(error) ?? error
  }
}

class DecidedReader implements DecidedSource {
  readonly leftOut: Record<LeftOut, number> = {
    duplicate: 0,
    other_feature_list: 0,
    without_transaction: 0,
  }
  readonly asOfMs: number
  readonly span: DecidedSource['span']
  readonly days: readonly string[]
  readonly #reader: LakeReader
  readonly #options: DecidedOptions
  /** Indexes of the requested features. */
  readonly #features: readonly number[]

  private constructor(
    reader: LakeReader,
    options: DecidedOptions,
    asOfMs: number,
    span: DecidedSource['span'],
  ) {
    this.#reader = reader
    this.#options = options
    this.asOfMs = asOfMs
    this.span = span
    this.#features = options.features
      .map((name) => FEATURE_NAMES.indexOf(name))
      .filter((index) => index >= 0)
    const { fromMs, endMs } = options
    const days = [...reader.state.files.values()]
      .filter(({ table }) => table === 'decisions')
      .map(({ day }) => day)
      .filter((day) => startOf(day) < endMs && startOf(day) + DAY_MS > fromMs)
    this.days = [...new Set(days)].sort()
  }

  static async open(reader: LakeReader, options: DecidedOptions): Promise<DecidedReader> {
    const { session } = reader
    const ms = (what: string): string => `CAST(epoch_ms(${what}) AS DOUBLE)`
    const [known = []] = await session.rows(
      `SELECT ${ms('(SELECT max(event_time) FROM transactions)')}, ${ms('(SELECT max(known_at) FROM labels)')}, ` +
        `${ms('(SELECT min(event_time) FROM decisions)')}, ${ms('(SELECT max(event_time) FROM decisions)')}`,
    )
    const [newestMs, knownMs, firstMs, lastMs] = known.map((value) =>
      typeof value === 'number' ? value : null,
    )
    const asOfMs = options.asOfMs ?? Math.max(newestMs ?? -Infinity, knownMs ?? -Infinity)
    const isEmpty = firstMs === undefined || firstMs === null
    const span = isEmpty ? null : { firstMs, lastMs: lastMs ?? firstMs }
    return new DecidedReader(reader, options, asOfMs, span)
  }

  async *rows(day: string): AsyncGenerator<readonly DecidedRow[], void, undefined> {
    try {
      const result = await this.#reader.session.stream(this.#statement(day))
      for await (const chunk of result) yield this.#rowsOf(chunk.getColumns(), chunk.rowCount)
    } catch (error) {
      throw readFailure(error) ?? error
    }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  #statement(day: string): string {
    const { folder, state } = this.#reader
    const filesOf = (table: 'transactions' | 'decisions' | 'labels'): string =>
      `(${readFiles(
        table,
        pathsOf(folder, state, table, (of) => of === day),
      )})`
    const { fromMs, endMs } = this.#options
    const from = Math.max(fromMs, startOf(day))
    const end = Math.min(endMs, startOf(day) + DAY_MS)
    const { decidedFromMs = -Infinity } = this.#options
    const decided = Number.isFinite(decidedFromMs)
      ? `AND d.decided_at >= ${instant(decidedFromMs)} `
      : ''
    const features = this.#features.map((index) => `d.${sqlName(featureColumn(index))}`)
    const asOf = Number.isFinite(this.asOfMs) ? `WHERE known_at <= ${instant(this.asOfMs)}` : ''
    return (
      `SELECT ${[...OWN_COLUMNS, ...TRANSACTION_COLUMNS, ...features].join(', ')} ` +
      `FROM ${filesOf('decisions')} d ` +
      `LEFT JOIN ${filesOf('transactions')} t USING (log_partition, log_offset) ` +
      // A label that names another card or time does not belong to this transaction.
      `LEFT JOIN (SELECT transaction_id, card, event_time, verdict, known_at FROM ${filesOf('labels')} ${asOf} ` +
      'QUALIFY row_number() OVER (PARTITION BY transaction_id, card, event_time ' +
      "ORDER BY verdict <> 'unknown' DESC, known_at DESC, log_offset DESC) = 1) l " +
      'ON l.transaction_id = d.transaction_id AND l.card = d.card AND l.event_time = d.event_time ' +
      `WHERE d.revision = 0 AND d.event_time >= ${instant(from)} AND d.event_time < ${instant(end)} ${decided}` +
      'ORDER BY d.event_time, d.log_partition, d.log_offset'
    )
  }

  #rowsOf(columns: readonly (readonly unknown[])[], count: number): readonly DecidedRow[] {
    const values = new Float64Array(count * FEATURE_COUNT).fill(NaN)
    const states = new Uint8Array(count * FEATURE_COUNT).fill(STATE.absent)
    const from = OWN_COLUMNS.length + TRANSACTION_COLUMNS.length
    for (const [place, feature] of this.#features.entries()) {
      const cells = columns[from + place] ?? []
      for (let at = 0; at < count; at += 1) {
        const cell = cells[at]
        if (typeof cell !== 'number') continue
        values[at * FEATURE_COUNT + feature] = cell
        states[at * FEATURE_COUNT + feature] = STATE.present
      }
    }
    const rows: DecidedRow[] = []
    for (let at = 0; at < count; at += 1) {
      const begin = at * FEATURE_COUNT
      const end = begin + FEATURE_COUNT
      const row = this.#rowAt(columns, at, values.subarray(begin, end), states.subarray(begin, end))
      if (row !== null) rows.push(row)
    }
    return rows
  }

  /** Null for a skipped decision. */
  #rowAt(
    columns: readonly (readonly unknown[])[],
    at: number,
    row: Float64Array,
    states: Uint8Array,
  ): DecidedRow | null {
    const [outcome, score, annotations, rules, digest, isOurList, isDuplicate, ...more] =
      columns.map((cells) => cells[at])
    const [policyDigest, policyVersion, expired, degraded] = more
    const own = OWN_COLUMNS.length
    const reason =
      isDuplicate === true
        ? 'duplicate'
        : isOurList !== true
          ? 'other_feature_list'
          : columns[own + ID_COLUMN]?.[at] === null
            ? 'without_transaction'
            : null
    if (reason !== null) {
      this.leftOut[reason] += 1
      return null
    }
    const cells = columns.slice(own, own + TRANSACTION_COLUMNS.length).map((column) => column[at])
    const [verdict, knownAtMs] = [columns[own - 2]?.[at], columns[own - 1]?.[at]]
    for (const name of namesOf(expired)) markState(states, name, STATE.expired)
    for (const name of namesOf(degraded)) markState(states, name, STATE.degraded)
    return {
      transaction: transactionOfRow(cells as LakeRow),
      row,
      states,
      score: typeof score === 'number' ? score : NaN,
      annotations: namesOf(annotations),
      outcome: outcomeOf(outcome),
      rules: namesOf(rules),
      modelDigest: String(digest),
      policyDigest: String(policyDigest),
      policyVersion: Number(policyVersion),
      label: labelOf(verdict, knownAtMs),
    }
  }
}

const NO_NAMES: readonly string[] = []

function featureColumn(index: number): string {
  const name = FEATURE_NAMES[index]
  assert(name !== undefined, 'Only features of the list are read.')
  return `${FEATURE_PREFIX}${name}`
}

function outcomeOf(cell: unknown): Outcome {
  const found = OUTCOMES.find((known) => known === cell)
  if (found === undefined) throw new TypeError('A decision of the lake has an unknown outcome.')
  return found
}

function labelOf(verdict: unknown, knownAtMs: unknown): DecidedRow['label'] {
  if (verdict !== 'fraud' && verdict !== 'genuine') return null
  assert(typeof knownAtMs === 'number', 'Every label has a known-at time.')
  return { verdict, knownAtMs }
}

function namesOf(text: unknown): readonly string[] {
  return typeof text !== 'string' || text === '' ? NO_NAMES : text.split(',')
}

function markState(states: Uint8Array, name: string, state: number): void {
  const index = FEATURE_NAMES.indexOf(name)
  if (index >= 0) states[index] = state
}

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}

function instant(timeMs: number): string {
  return `make_timestamptz(${BigInt(timeMs) * 1_000n})`
}
