// Maps columns of a file to fields of a transaction: as given, or derived from the names in the header.

import { SluiceError } from '../errors.ts'

/** Fields that a column or a constant can supply. `label` becomes a label; all others belong to the transaction. */
const REPLAY_FIELDS = [
  'id',
  'card',
  'eventTime',
  'amount',
  'currency',
  'merchant',
  'merchantCategory',
  'terminal',
  'country',
  'latitude',
  'longitude',
  'utcOffsetMinutes',
  'device',
  'ipNetwork',
  'channel',
  'entryMode',
  'authorisation',
  'intentId',
  'label',
] as const

export type ReplayField = (typeof REPLAY_FIELDS)[number]

/** Field to column name. */
export type ColumnMapping = Readonly<Partial<Record<ReplayField, string>>>

/** Field to a value shared by every row. */
export type FieldConstants = Readonly<Partial<Record<ReplayField, string>>>

const REQUIRED: readonly ReplayField[] = ['card', 'eventTime', 'amount']

// In order of preference; compared ignoring case, spaces, dashes and underscores.
const SYNONYMS: Readonly<Record<ReplayField, readonly string[]>> = {
  id: ['transaction_id', 'tx_id', 'trans_num', 'trans_id', 'id', 'tx_index'],
  card: ['card', 'card_id', 'card_token', 'customer_id', 'customer', 'source_id', 'account_id'],
  eventTime: [
    'event_time',
    'event_time_ms',
    'tx_datetime',
    'transaction_time',
    'trans_date_trans_time',
    'datetime',
    'timestamp',
    'unix_time',
    'time',
    'date',
  ],
  amount: ['amount', 'tx_amount', 'amt', 'transaction_amount'],
  currency: ['currency', 'currency_code'],
  merchant: ['merchant', 'merchant_id', 'target_id'],
  merchantCategory: ['merchant_category', 'category', 'mcc', 'tx_type'],
  terminal: ['terminal', 'terminal_id'],
  country: ['country', 'country_code', 'merchant_country'],
  latitude: ['latitude', 'merch_lat', 'merchant_latitude', 'lat'],
  longitude: ['longitude', 'merch_long', 'merchant_longitude', 'long', 'lon'],
  utcOffsetMinutes: ['utc_offset_minutes', 'utc_offset'],
  device: ['device', 'device_id'],
  ipNetwork: ['ip_network'],
  channel: ['channel'],
  entryMode: ['entry_mode'],
  authorisation: ['authorisation', 'authorization', 'auth_result'],
  intentId: ['intent_id'],
  label: ['label', 'tx_fraud', 'is_fraud', 'fraud'],
}

/**
 * Completes the mapping from the header. A given column wins over a derived one, and a constant over both.
 * @throws SluiceError SLUICE_INPUT_INVALID when a given column is not in the header or a required field has no column;
 * the message shows the mapping to give.
 */
export function findMapping(
  file: string,
  header: readonly string[],
  given: ColumnMapping,
  constants: FieldConstants,
): ColumnMapping {
  const mapping: Partial<Record<ReplayField, string>> = {}
  const columnsByName = new Map(header.map((column) => [plain(column), column]))
  for (const field of REPLAY_FIELDS) {
    if (constants[field] !== undefined) continue
    const wanted = given[field]
    if (wanted !== undefined) {
      if (!header.includes(wanted)) throw unknownColumn(file, header, field, wanted)
      mapping[field] = wanted
      continue
    }
    const found = SYNONYMS[field].map((name) => columnsByName.get(plain(name))).find(isString)
    if (found !== undefined) mapping[field] = found
  }
  const missing = REQUIRED.filter(
    (field) => mapping[field] === undefined && constants[field] === undefined,
  )
  if (missing.length > 0) throw missingFields(file, header, mapping, missing)
  return mapping
}

/** `card=customer_id,amount=tx_amount`, as the option takes it. */
export function mappingText(mapping: ColumnMapping): string {
  return REPLAY_FIELDS.filter((field) => mapping[field] !== undefined)
    .map((field) => `${field}=${mapping[field] ?? ''}`)
    .join(',')
}

/**
 * Reads `field=value,field=value`; `what` names the option in errors.
 * @throws SluiceError SLUICE_USAGE when a field is unknown, given twice, or has no value.
 */
export function parseFieldList(
  what: string,
  text: string,
): Readonly<Partial<Record<ReplayField, string>>> {
  return checkFields(
    what,
    text.split(',').map((pair) => {
      const split = pair.indexOf('=')
      return split < 0
        ? [pair.trim(), '']
        : [pair.slice(0, split).trim(), pair.slice(split + 1).trim()]
    }),
  )
}

/**
 * Checks fields and values from a list or a JSON file.
 * @throws SluiceError SLUICE_USAGE naming the first field that is unknown, repeated or without a value.
 */
export function checkFields(
  what: string,
  pairs: readonly (readonly [string, unknown] | readonly unknown[])[],
): Readonly<Partial<Record<ReplayField, string>>> {
  const fields: Partial<Record<ReplayField, string>> = {}
  for (const [name, value] of pairs) {
    const field = REPLAY_FIELDS.find((known) => known === name)
    if (field === undefined) {
      throw usage(`${what}: "${String(name)}" is not a field; use ${REPLAY_FIELDS.join(', ')}.`)
    }
    if (fields[field] !== undefined) {
      throw usage(`${what}: "${field}" is given twice; keep one.`)
    }
    if (typeof value !== 'string' || value === '') {
      throw usage(`${what}: "${field}" has no value; write ${field}=VALUE.`)
    }
    fields[field] = value
  }
  return fields
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_-]/g, '')
}

function isString(value: string | undefined): value is string {
  return value !== undefined
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}

// A file without a header line has data in place of names, so digits are masked (P8).
function columnsText(header: readonly string[]): string {
  return header.map((column) => column.slice(0, 40).replaceAll(/\d{5,}/g, '*****')).join(', ')
}

function unknownColumn(
  file: string,
  header: readonly string[],
  field: ReplayField,
  wanted: string,
): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} has no column "${wanted}" for ${field}; its columns are ${columnsText(header)}. ` +
      `Change ${field}=${wanted} in the mapping.`,
    { details: { file, field, column: wanted } },
  )
}

function missingFields(
  file: string,
  header: readonly string[],
  mapping: ColumnMapping,
  missing: readonly ReplayField[],
): SluiceError {
  const toGive = [mappingText(mapping), ...missing.map((field) => `${field}=COLUMN`)]
    .filter((part) => part !== '')
    .join(',')
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} has no column for ${missing.join(', ')} among ${columnsText(header)}. ` +
      `Name the column with --map ${toGive}`,
    { details: { file, missing } },
  )
}
