// The tables of the lake as data: columns with type, nullability and range, and the conversion of records to rows and
// back. Writing, reading, the data-quality checks and docs/lake.md all follow this list.

import { z } from 'zod'
import {
  FEATURE_COUNT,
  FEATURE_LIST_HASH,
  FEATURE_NAMES,
} from '../features/catalogue/feature-list.ts'
import { STATE } from '../features/engine/feature-states.ts'
import { recordedBatchOf } from '../features/provenance/replay-records.ts'
import { parseJson } from '../parse-json.ts'
import {
  type Attributes,
  AUTHORISATIONS,
  CHANNELS,
  ENTRY_MODES,
  type Label,
  LABEL_SOURCES,
  type Transaction,
  VERDICTS,
} from '../transaction.ts'
import type { DeadLetter, DecisionBatch } from '../wire/records.ts'
import { AMOUNT_MINOR_MAX, UTC_OFFSET_MINUTES_MAX } from '../wire/validation.ts'

export const LAKE_TABLES = [
  'transactions',
  'decisions',
  'labels',
  'dead_letters',
  'checks',
] as const
export type LakeTable = (typeof LAKE_TABLES)[number]

/** Tables filled from topics. */
export const TOPIC_TABLES = ['transactions', 'decisions', 'labels', 'dead_letters'] as const
export type TopicTable = (typeof TOPIC_TABLES)[number]

/** SQL types of the Parquet files, as DuckDB names them. TIMESTAMPTZ is an instant in UTC. */
export type LakeType =
  'VARCHAR' | 'BIGINT' | 'INTEGER' | 'DOUBLE' | 'TIMESTAMPTZ' | 'VARCHAR[]' | 'DOUBLE[]'

export interface LakeColumn {
  readonly name: string
  readonly type: LakeType
  readonly nullable: boolean
  /** Smallest and largest valid value. */
  readonly range?: readonly [min: number, max: number]
  /** One clause, for docs/lake.md; empty for the columns of features, which docs/features.md explains. */
  readonly meaning: string
}

/** A cell: times in ms, absent is null. */
export type LakeValue = string | number | null | readonly string[] | readonly (number | null)[]
export type LakeRow = readonly LakeValue[]

/** Prefix of the columns of decisions that are features. */
export const FEATURE_PREFIX = 'f_'

const OFFSET_RANGE = [0, Number.MAX_SAFE_INTEGER] as const
/** Partition of imported rows, which are in no topic. */
export const IMPORT_PARTITION = -1
const PARTITION_RANGE = [IMPORT_PARTITION, 1_000_000] as const
const AMOUNT_RANGE = [0, AMOUNT_MINOR_MAX] as const

type Rest = Partial<Pick<LakeColumn, 'nullable' | 'range'>>

function column(name: string, type: LakeType, meaning: string, rest: Rest = {}): LakeColumn {
  return { name, type, nullable: false, meaning, ...rest }
}

function optional(name: string, type: LakeType, meaning: string, rest: Rest = {}): LakeColumn {
  return column(name, type, meaning, { nullable: true, ...rest })
}

const PLACE = [
  column('log_partition', 'INTEGER', 'partition of the topic; -1 for imported rows', {
    range: PARTITION_RANGE,
  }),
  column('log_offset', 'BIGINT', 'offset there; for imported rows their running number', {
    range: OFFSET_RANGE,
  }),
] as const

const SENT_AT = optional('sent_at', 'TIMESTAMPTZ', 'time stamp of the Kafka record')
const ENTITIES = [
  optional('device', 'VARCHAR', 'device'),
  optional('ip_network', 'VARCHAR', 'network'),
] as const

const TRANSACTIONS: readonly LakeColumn[] = [
  ...PLACE,
  SENT_AT,
  column('id', 'VARCHAR', 'id of the transaction'),
  column('card', 'VARCHAR', 'card token'),
  column('event_time', 'TIMESTAMPTZ', 'time of the payment'),
  column('amount_minor', 'BIGINT', 'minor units of the currency', { range: AMOUNT_RANGE }),
  column('currency', 'VARCHAR', 'ISO 4217'),
  optional('merchant', 'VARCHAR', 'merchant'),
  optional('merchant_category', 'VARCHAR', 'its category'),
  optional('terminal', 'VARCHAR', 'terminal'),
  optional('country', 'VARCHAR', 'ISO 3166-1 alpha-2'),
  optional('latitude', 'DOUBLE', 'degrees', { range: [-90, 90] }),
  optional('longitude', 'DOUBLE', 'degrees', { range: [-180, 180] }),
  optional('utc_offset_minutes', 'INTEGER', 'local time less UTC', {
    range: [-UTC_OFFSET_MINUTES_MAX, UTC_OFFSET_MINUTES_MAX],
  }),
  ...ENTITIES,
  optional('channel', 'VARCHAR', 'pos, atm, ecommerce, moto'),
  optional('entry_mode', 'VARCHAR', 'chip, contactless, and others'),
  optional('authorisation', 'VARCHAR', 'approved, declined, pending'),
  optional('intent_id', 'VARCHAR', 'id that retries of one purchase share'),
  optional('attributes', 'VARCHAR', "JSON object of the payment's attributes by name"),
]

const LABELS: readonly LakeColumn[] = [
  ...PLACE,
  SENT_AT,
  column('transaction_id', 'VARCHAR', 'id of its transaction'),
  column('card', 'VARCHAR', 'its card'),
  column('event_time', 'TIMESTAMPTZ', 'its event time'),
  column('known_at', 'TIMESTAMPTZ', 'time from which the label counts'),
  column('verdict', 'VARCHAR', 'fraud, genuine'),
  column('source', 'VARCHAR', 'analyst, chargeback, and others'),
  optional('merchant', 'VARCHAR', 'merchant of the transaction'),
  optional('terminal', 'VARCHAR', 'its terminal'),
  ...ENTITIES,
]

const DECISIONS: readonly LakeColumn[] = [
  column('log_partition', 'INTEGER', "the transaction's partition", { range: PARTITION_RANGE }),
  column('log_offset', 'BIGINT', "the transaction's offset", { range: OFFSET_RANGE }),
  column('revision', 'INTEGER', '0, or the number of the revision', { range: [0, 1_000_000] }),
  column('batch_offset', 'BIGINT', 'offset of its decision batch in the topic', {
    range: OFFSET_RANGE,
  }),
  column('decided_at', 'TIMESTAMPTZ', 'clock of the scorer'),
  column('transaction_id', 'VARCHAR', 'id of the transaction'),
  column('card', 'VARCHAR', 'card token'),
  column('event_time', 'TIMESTAMPTZ', 'time of the payment'),
  column('amount_minor', 'BIGINT', 'minor units of the currency', { range: AMOUNT_RANGE }),
  column('currency', 'VARCHAR', 'ISO 4217'),
  column('outcome', 'VARCHAR', 'approve, flag, block'),
  optional('score', 'DOUBLE', '0 to 1; null when not scored', { range: [0, 1] }),
  optional('not_scored', 'VARCHAR', 'reason why there is no score'),
  optional('duplicate_of_offset', 'BIGINT', 'first offset of a repeated transaction'),
  column('annotations', 'VARCHAR[]', 'annotations such as late or degraded'),
  column('reasons', 'VARCHAR', 'reasons, as JSON'),
  optional('entity_age_ms', 'BIGINT', 'lag of the slowest partition'),
  optional('cause_offset', 'BIGINT', 'offset of the late transaction of a revision'),
  column('stream_id', 'VARCHAR', 'stream of the scorer'),
  column('mode', 'VARCHAR', 'observe, flag, enforce'),
  column('alignment', 'VARCHAR', 'live, aligned'),
  column('model_version', 'VARCHAR', 'name and digest of the model'),
  column('model_digest', 'VARCHAR', 'SHA-256 of its manifest'),
  column('policy_digest', 'VARCHAR', 'digest of the policy'),
  optional('policy_version', 'INTEGER', 'its version; 0 is the built-in one'),
  optional('segment', 'VARCHAR', 'segment of the policy'),
  optional('rules', 'VARCHAR[]', 'rules of the policy that fired'),
  column('backend', 'VARCHAR', 'backend that computed the score'),
  column('feature_list_hash', 'VARCHAR', 'hash of the list of features of the row'),
  optional('rates_digest', 'VARCHAR', 'digest of the table of exchange rates'),
  ...FEATURE_NAMES.map((name) => optional(`${FEATURE_PREFIX}${name}`, 'DOUBLE', '')),
  optional('features_expired', 'VARCHAR[]', 'features whose window is no longer covered'),
  optional('features_degraded', 'VARCHAR[]', 'features that could not be read'),
  optional('features_of_other_list', 'DOUBLE[]', 'the row, if made by another list of features'),
]

const DEAD_LETTERS: readonly LakeColumn[] = [
  ...PLACE,
  column('source_topic', 'VARCHAR', 'topic of the message'),
  column('source_partition', 'INTEGER', 'its partition', { range: PARTITION_RANGE }),
  column('source_offset', 'BIGINT', 'its offset', { range: OFFSET_RANGE }),
  column('sent_at', 'TIMESTAMPTZ', 'its time stamp'),
  column('reason', 'VARCHAR', 'reason why it could not be decided'),
  optional('field', 'VARCHAR', 'faulty field'),
  column('payload_bytes', 'BIGINT', 'its size', { range: OFFSET_RANGE }),
  column('payload_hmac', 'VARCHAR', 'keyed hash of it, hex'),
  column('sample', 'VARCHAR', 'its beginning, digits masked'),
  column('decided_at', 'TIMESTAMPTZ', 'clock of the scorer'),
]

const CHECKS: readonly LakeColumn[] = [
  column('checked_at', 'TIMESTAMPTZ', 'clock of the writer'),
  column('commit_number', 'BIGINT', 'commit of the lake that it belongs to', {
    range: OFFSET_RANGE,
  }),
  column('table_name', 'VARCHAR', 'table'),
  optional('file', 'VARCHAR', 'file, or null for a range of a topic'),
  optional('log_partition', 'INTEGER', 'partition', { range: PARTITION_RANGE }),
  optional('first_offset', 'BIGINT', 'first offset checked'),
  optional('last_offset', 'BIGINT', 'last offset checked'),
  column('check_name', 'VARCHAR', 'name of the check'),
  column('status', 'VARCHAR', 'ok, explained, failed'),
  column('found', 'BIGINT', 'value found'),
  column('expected', 'BIGINT', 'value expected'),
  column('detail', 'VARCHAR', 'description'),
]

export const LAKE_COLUMNS: Readonly<Record<LakeTable, readonly LakeColumn[]>> = {
  transactions: TRANSACTIONS,
  decisions: DECISIONS,
  labels: LABELS,
  dead_letters: DEAD_LETTERS,
  checks: CHECKS,
}

/** The column whose UTC day is the folder of a row. */
export const DAY_COLUMN: Readonly<Record<LakeTable, string>> = {
  transactions: 'event_time',
  decisions: 'event_time',
  labels: 'event_time',
  dead_letters: 'sent_at',
  checks: 'checked_at',
}

/** The key of each table, unique per row. Checks have none. */
export const KEY_COLUMNS: Readonly<Record<LakeTable, readonly string[]>> = {
  transactions: ['log_partition', 'log_offset'],
  decisions: ['log_partition', 'log_offset', 'revision'],
  labels: ['log_partition', 'log_offset'],
  dead_letters: ['log_partition', 'log_offset'],
  checks: [],
}

// Records to rows, cell by cell in the order of LAKE_COLUMNS; and rows back to transactions and labels.

/** Position of a row's message in its topic. */
export interface RowPosition {
  readonly partition: number
  readonly offset: number
  /** Time stamp of the record; null for imported rows. */
  readonly sentAtMs: number | null
}

/** A row and the time that determines its day. */
export interface TimedLakeRow {
  readonly timeMs: number
  readonly row: LakeRow
}

export function transactionRow(position: RowPosition, of: Transaction): TimedLakeRow {
  const row = [
    position.partition,
    position.offset,
    position.sentAtMs,
    of.id,
    of.card,
    of.eventTimeMs,
    of.amountMinor,
    of.currency,
    of.merchant,
    of.merchantCategory,
    of.terminal,
    of.country,
    of.latitude,
    of.longitude,
    of.utcOffsetMinutes,
    of.device,
    of.ipNetwork,
    of.channel,
    of.entryMode,
    of.authorisation,
    of.intentId,
    of.attributes === null ? null : JSON.stringify(of.attributes),
  ]
  return { timeMs: of.eventTimeMs, row }
}

export function labelRow(position: RowPosition, of: Label): TimedLakeRow {
  const row = [
    position.partition,
    position.offset,
    position.sentAtMs,
    of.transactionId,
    of.card,
    of.eventTimeMs,
    of.knownAtMs,
    of.verdict,
    of.source,
    of.merchant,
    of.terminal,
    of.device,
    of.ipNetwork,
  ]
  return { timeMs: of.eventTimeMs, row }
}

export function deadLetterRow(position: RowPosition, of: DeadLetter): TimedLakeRow {
  const row = [
    position.partition,
    position.offset,
    of.topic,
    of.partition,
    of.offset,
    of.timestampMs,
    of.reason,
    of.field,
    of.payloadBytes,
    hexOf(of.payloadHmac),
    of.sample,
    of.decidedAtMs,
  ]
  return { timeMs: of.timestampMs, row }
}

/** One row per decision of the decision batch at `blockOffset` of the decisions topic. */
export function decisionRows(blockOffset: number, block: DecisionBatch): readonly TimedLakeRow[] {
  const isOurList =
    block.featureListHash === FEATURE_LIST_HASH && block.featureCount === FEATURE_COUNT
  const recorded = recordedBatchOf(block)
  return block.decisions.map((decision, index) => {
    const { values, states } = recorded.rowAt(index)
    const row: LakeValue[] = [
      block.partition,
      decision.offset,
      decision.revision,
      blockOffset,
      block.decidedAtMs,
      decision.transactionId,
      decision.card,
      decision.eventTimeMs,
      decision.amountMinor,
      decision.currency,
      decision.outcome,
      decision.score,
      decision.notScored,
      decision.duplicateOfOffset,
      decision.annotations,
      JSON.stringify(decision.reasons),
      decision.entityAgeMs,
      decision.causeOffset,
      block.streamId,
      block.mode,
      block.alignment,
      block.modelVersion,
      block.modelDigest,
      block.policyDigest,
      block.policyVersion,
      decision.segment,
      decision.rules,
      block.backend,
      block.featureListHash,
      block.ratesDigest,
    ]
    if (isOurList) {
      for (const value of values) row.push(Number.isNaN(value) ? null : value)
      row.push(namesInState(states, STATE.expired), namesInState(states, STATE.degraded), null)
    } else {
      for (let at = 0; at < FEATURE_COUNT; at += 1) row.push(null)
      const others = Array.from(values, (value) => (Number.isNaN(value) ? null : value))
      row.push(null, null, others)
    }
    return { timeMs: decision.eventTimeMs, row }
  })
}

/** Inverse of `transactionRow`. @throws TypeError when the row is not a transaction. */
export function transactionOfRow(row: LakeRow): Transaction {
  const cell = (index: number): LakeValue => row[index] ?? null
  return {
    id: textOf(cell(3)),
    card: textOf(cell(4)),
    eventTimeMs: numberOf(cell(5)),
    amountMinor: numberOf(cell(6)),
    currency: textOf(cell(7)),
    merchant: textOrNull(cell(8)),
    merchantCategory: textOrNull(cell(9)),
    terminal: textOrNull(cell(10)),
    country: textOrNull(cell(11)),
    latitude: numberOrNull(cell(12)),
    longitude: numberOrNull(cell(13)),
    utcOffsetMinutes: numberOrNull(cell(14)),
    device: textOrNull(cell(15)),
    ipNetwork: textOrNull(cell(16)),
    channel: wordOrNull(cell(17), CHANNELS),
    entryMode: wordOrNull(cell(18), ENTRY_MODES),
    authorisation: wordOrNull(cell(19), AUTHORISATIONS),
    intentId: textOrNull(cell(20)),
    attributes: attributesOf(textOrNull(cell(21))),
  }
}

/** Inverse of `labelRow`. @throws TypeError when the row is not a label. */
export function labelOfRow(row: LakeRow): Label {
  const cell = (index: number): LakeValue => row[index] ?? null
  return {
    transactionId: textOf(cell(3)),
    card: textOf(cell(4)),
    eventTimeMs: numberOf(cell(5)),
    knownAtMs: numberOf(cell(6)),
    verdict: wordOf(cell(7), VERDICTS),
    source: wordOf(cell(8), LABEL_SOURCES),
    merchant: textOrNull(cell(9)),
    terminal: textOrNull(cell(10)),
    device: textOrNull(cell(11)),
    ipNetwork: textOrNull(cell(12)),
  }
}

const ATTRIBUTES = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))

function attributesOf(text: string | null): Attributes | null {
  if (text === null) return null
  const attributes = parseJson(ATTRIBUTES, text)
  if (attributes !== null) return attributes
  throw new TypeError(
    'The column attributes of a row of the lake holds no JSON object of attributes.',
  )
}

/** Names of the features in this state; null, the usual case, when there are none. */
function namesInState(states: Uint8Array, state: number): readonly string[] | null {
  if (!states.includes(state)) return null
  return FEATURE_NAMES.filter((_, index) => states[index] === state)
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function textOf(value: LakeValue): string {
  if (typeof value === 'string') return value
  throw new TypeError('The row lacks a required text.')
}

function textOrNull(value: LakeValue): string | null {
  return value === null ? null : textOf(value)
}

function numberOf(value: LakeValue): number {
  if (typeof value === 'number') return value
  throw new TypeError('The row lacks a required number.')
}

function numberOrNull(value: LakeValue): number | null {
  return value === null ? null : numberOf(value)
}

function wordOf<Word extends string>(value: LakeValue, words: readonly Word[]): Word {
  const found = words.find((word) => word === value)
  if (found === undefined) throw new TypeError(`The row has none of ${words.join(', ')}.`)
  return found
}

function wordOrNull<Word extends string>(value: LakeValue, words: readonly Word[]): Word | null {
  return value === null ? null : wordOf(value, words)
}
