// A checked mapping document: how messages of a team's own topic, or rows of its files, become transactions and labels.

import type { AttributeType } from '../policy/policy-document.ts'

/** Value of `apiVersion` in every mapping. */
export const MAPPING_API_VERSION = 'sluice/v1'

/** Limits of one document. */
export const MAPPING_LIMITS = {
  bytesMax: 262_144,
  rulesMax: 32,
  columnsMax: 512,
  pathsMax: 8,
  pathCharactersMax: 256,
  pathStepsMax: 16,
  tableMax: 4_096,
  textCharactersMax: 256,
  nameCharactersMax: 64,
  versionMax: 1_000_000,
} as const

/** Formats of messages. */
export const MESSAGE_FORMATS = ['json', 'csv', 'avro', 'protobuf'] as const
export type MessageFormat = (typeof MESSAGE_FORMATS)[number]

/** Bytes before the message: none, or a zero byte and the id of a schema, as Confluent's serialisers write. */
export const FRAMINGS = ['none', 'confluent'] as const
export type Framing = (typeof FRAMINGS)[number]

/** Where a bridge without committed offsets begins. */
export const STARTS = ['earliest', 'latest'] as const
export type Start = (typeof STARTS)[number]

/** The team's topic and the form of its messages. */
export interface MappingSource {
  /** Null for a mapping that is only used on files. */
  readonly topic: string | null
  readonly format: MessageFormat
  readonly framing: Framing
  readonly start: Start
  /** Names of the columns of a CSV line, in order; empty for files, which have a header, and for other formats. */
  readonly columns: readonly string[]
  readonly delimiter: string
  /** File of the Avro schema of messages without framing, relative to the mapping; null with framing. */
  readonly schemaFile: string | null
}

/** Kinds of fields; they determine how a value is read. */
export type FieldKind =
  | 'identifier'
  | 'code'
  | 'time'
  | 'amount'
  | 'number'
  | 'offset'
  | 'channel'
  | 'entryMode'
  | 'authorisation'
  | 'verdict'
  | 'labelSource'
  | 'attribute'

/** Fields of a transaction that a mapping can fill. */
export const TRANSACTION_FIELDS = {
  id: 'identifier',
  card: 'identifier',
  eventTime: 'time',
  amount: 'amount',
  currency: 'code',
  merchant: 'identifier',
  merchantCategory: 'identifier',
  terminal: 'identifier',
  country: 'code',
  latitude: 'number',
  longitude: 'number',
  utcOffsetMinutes: 'offset',
  device: 'identifier',
  ipNetwork: 'identifier',
  channel: 'channel',
  entryMode: 'entryMode',
  authorisation: 'authorisation',
  intentId: 'identifier',
} as const satisfies Readonly<Record<string, FieldKind>>
export type TransactionField = keyof typeof TRANSACTION_FIELDS

export const TRANSACTION_FIELDS_NEEDED: readonly TransactionField[] = [
  'id',
  'card',
  'eventTime',
  'amount',
  'currency',
]

/** Fields of a label. A rule that also makes a transaction takes all but `verdict` from it where they are not mapped. */
export const LABEL_FIELDS = {
  transactionId: 'identifier',
  card: 'identifier',
  eventTime: 'time',
  knownAt: 'time',
  verdict: 'verdict',
  source: 'labelSource',
  merchant: 'identifier',
  terminal: 'identifier',
  device: 'identifier',
  ipNetwork: 'identifier',
} as const satisfies Readonly<Record<string, FieldKind>>
export type LabelField = keyof typeof LABEL_FIELDS

/** Fields of a label that a rule without a transaction must map. */
export const LABEL_FIELDS_NEEDED: readonly LabelField[] = [
  'transactionId',
  'card',
  'eventTime',
  'verdict',
]

/** The same for labels of files, whose transactions a lake may have. */
export const LABEL_FIELDS_OF_FILES_NEEDED: readonly LabelField[] = ['transactionId', 'verdict']

export type Scalar = string | number | boolean

/** Where a value comes from. */
export type ValueSource =
  /** The first of the paths that has a value. */
  | { readonly kind: 'path'; readonly paths: readonly string[] }
  | { readonly kind: 'constant'; readonly value: Scalar }
  /** All of the paths, with a text between them; absent when one of them is. */
  | { readonly kind: 'join'; readonly paths: readonly string[]; readonly separator: string }
  | { readonly kind: 'cel'; readonly expression: string }

/** What becomes of a value that a table does not have. */
export const OTHERWISE = ['refuse', 'keep', 'absent'] as const
export type Otherwise = (typeof OTHERWISE)[number]

export interface ValueTable {
  readonly entries: ReadonlyMap<string, string>
  readonly otherwise: Otherwise
}

/** How an identifier becomes a token: by a keyed hash, or it is one already although it looks like a card number. */
export const TOKEN_MODES = ['hmac', 'declared'] as const
export type TokenMode = (typeof TOKEN_MODES)[number]

export const AMOUNT_UNITS = ['major', 'minor'] as const
export type AmountUnit = (typeof AMOUNT_UNITS)[number]

/** One field of the output. */
export interface FieldMapping {
  readonly source: ValueSource
  /** Used when the source has no value; null for none. */
  readonly fallback: string | null
  readonly table: ValueTable | null
  readonly token: TokenMode | null
  readonly unit: AmountUnit
  /** Type of an attribute. */
  readonly type: AttributeType
  /** `auto`, a unit of epochs, or a pattern such as `dd.MM.yyyy HH:mm:ss`. */
  readonly timeFormat: string
  /** Zone of times that name none: `Asia/Seoul`, `+09:00`, or `UTC`. */
  readonly zone: string
}

/** A rule applies to the messages for which no rule before it does, and its condition holds. */
export interface MappingRule {
  readonly name: string
  /** CEL; null always holds. */
  readonly when: string | null
  /** Such messages are left out. */
  readonly skip: boolean
  readonly transaction: ReadonlyMap<TransactionField, FieldMapping> | null
  /** Attributes of the transaction, by name. */
  readonly attributes: ReadonlyMap<string, FieldMapping>
  readonly label: ReadonlyMap<LabelField, FieldMapping> | null
}

export interface MappingDocument {
  readonly name: string
  readonly version: number
  readonly source: MappingSource
  /** CEL; messages for which it does not hold are left out. Null takes all. */
  readonly filter: string | null
  /** What becomes of a message to which no rule applies. */
  readonly unmatched: 'refuse' | 'skip'
  readonly rules: readonly MappingRule[]
}
