// Parses the text of a mapping to a checked document. All faults are reported at once, each with its position.

import { createHash } from 'node:crypto'
import { holdsCardNumber } from '../card-numbers.ts'
import { SluiceError } from '../errors.ts'
import { ATTRIBUTE_TYPES } from '../policy/policy-document.ts'
import { ATTRIBUTE_LIMITS, isAttributeName } from '../wire/validation.ts'
import {
  faultSentence,
  openYaml,
  type YamlFault,
  type YamlFaults,
  type YamlFields,
} from '../yaml/yaml-fields.ts'
import { compileExpression, EXPRESSION_CHARACTERS_MAX } from './expressions.ts'
import {
  AMOUNT_UNITS,
  type FieldKind,
  type FieldMapping,
  FRAMINGS,
  LABEL_FIELDS,
  LABEL_FIELDS_NEEDED,
  LABEL_FIELDS_OF_FILES_NEEDED,
  type LabelField,
  MAPPING_API_VERSION,
  MAPPING_LIMITS,
  type MappingDocument,
  type MappingRule,
  type MappingSource,
  MESSAGE_FORMATS,
  OTHERWISE,
  type Scalar,
  STARTS,
  TOKEN_MODES,
  TRANSACTION_FIELDS,
  TRANSACTION_FIELDS_NEEDED,
  type TransactionField,
  type ValueSource,
  type ValueTable,
} from './mapping-document.ts'
import { compilePath } from './message-path.ts'
import { compileTimeFormat, TIME_FORMATS } from './time-format.ts'

export type ParsedMapping =
  | { readonly ok: true; readonly mapping: MappingDocument }
  | { readonly ok: false; readonly faults: readonly YamlFault[] }

/** A checked mapping and the digest of its text. */
export interface LoadedMapping {
  readonly document: MappingDocument
  /** Name, version and digest: `payments@3 1f2e3d4c5b6a`. */
  readonly label: string
}

const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/
const DIGEST_CHARACTERS = 12

/** What a mapping is for. Labels of files may lack card and event time, which a lake has. */
export type MappingPurpose = 'stream' | 'label_files'

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every fault with its line; `file` names the text. */
export function loadMapping(
  file: string,
  text: string,
  purpose: MappingPurpose = 'stream',
): LoadedMapping {
  const parsed = parseMapping(text, purpose)
  if (parsed.ok) {
    const { name, version } = parsed.mapping
    const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARACTERS)
    return { document: parsed.mapping, label: `${name}@${version} ${digest}` }
  }
  const lines = parsed.faults.map((fault) => `${file}, ${faultSentence(fault)}`)
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `The mapping has ${lines.length} fault(s), and nothing was started:\n  ${lines.join('\n  ')}`,
    { details: { file, faults: parsed.faults } },
  )
}

/** Reads and checks a mapping. Never throws on bad input. */
export function parseMapping(text: string, purpose: MappingPurpose = 'stream'): ParsedMapping {
  if (Buffer.byteLength(text) > MAPPING_LIMITS.bytesMax) {
    const message = `the text is larger than ${MAPPING_LIMITS.bytesMax} bytes`
    return { ok: false, faults: [{ line: 1, column: 1, path: '', message }] }
  }
  const { root, faults } = openYaml(text)
  if (root === null) return { ok: false, faults: faults.all }
  const mapping = new MappingReader(root, faults, purpose).read()
  return faults.all.length === 0 ? { ok: true, mapping } : { ok: false, faults: faults.all }
}

class MappingReader {
  readonly #root: YamlFields
  readonly #faults: YamlFaults
  readonly #labelFieldsNeeded: readonly LabelField[]

  constructor(root: YamlFields, faults: YamlFaults, purpose: MappingPurpose) {
    this.#root = root
    this.#faults = faults
    this.#labelFieldsNeeded =
      purpose === 'stream' ? LABEL_FIELDS_NEEDED : LABEL_FIELDS_OF_FILES_NEEDED
  }

  read(): MappingDocument {
    const root = this.#root
    root.oneOf('apiVersion', [MAPPING_API_VERSION])
    const mapping: MappingDocument = {
      name: root.name('name', MAPPING_LIMITS.nameCharactersMax),
      version: root.number('version', 1, MAPPING_LIMITS.versionMax, true),
      source: root.object('source', readSource) ?? NO_SOURCE,
      filter: this.#condition(root, 'filter'),
      unmatched: root.oneOf('unmatched', ['refuse', 'skip'], 'refuse'),
      rules: root.objects('rules', MAPPING_LIMITS.rulesMax, (fields) => this.#rule(fields), 1),
    }
    const names = mapping.rules.map(({ name }) => name)
    for (const name of new Set(names)) {
      if (names.filter((other) => other === name).length > 1)
        root.fault(`has two rules of the name ${name}`, 'rules')
    }
    for (const [index, { when }] of mapping.rules.entries()) {
      if (when === null && index < mapping.rules.length - 1)
        root.fault(`has rules after ${names[index] ?? ''}, which always applies`, 'rules')
    }
    root.end()
    return mapping
  }

  #rule(fields: YamlFields): MappingRule {
    const name = fields.name('name', MAPPING_LIMITS.nameCharactersMax)
    const when = this.#condition(fields, 'when')
    const skip = fields.flag('skip', false)
    const transaction = fields.objectOr(
      'transaction',
      (inner) =>
        this.#fields<TransactionField>(inner, TRANSACTION_FIELDS, TRANSACTION_FIELDS_NEEDED),
      null,
    )
    const attributes = fields.objectOr('attributes', (inner) => this.#attributes(inner), NO_FIELDS)
    if (transaction === null && attributes.size > 0)
      fields.fault('belong to a transaction, which the rule does not make', 'attributes')
    const needed = transaction === null ? this.#labelFieldsNeeded : (['verdict'] as const)
    const label = fields.objectOr(
      'label',
      (inner) => this.#fields<LabelField>(inner, LABEL_FIELDS, needed),
      null,
    )
    const makesAny = fields.has('transaction') || fields.has('label')
    if (skip === makesAny) {
      const problem = skip ? 'skips, and makes something' : 'makes nothing'
      fields.fault(`${problem}; give "skip: true", or transaction, label, or both`)
    }
    return { name, when, skip, transaction, attributes, label }
  }

  #fields<Field extends string>(
    fields: YamlFields,
    kinds: Readonly<Record<Field, FieldKind>>,
    needed: readonly Field[],
  ): ReadonlyMap<Field, FieldMapping> {
    const read = new Map<Field, FieldMapping>()
    for (const field of Object.keys(kinds) as Field[]) {
      if (fields.has(field)) read.set(field, this.#field(fields, field, kinds[field]))
      else if (needed.includes(field)) fields.fault(`lacks ${field}`)
      // Asks for it, so that it is among the known ones.
      else fields.oneOf(field, ['absent'], 'absent')
    }
    return read
  }

  #attributes(fields: YamlFields): ReadonlyMap<string, FieldMapping> {
    const { names } = fields
    if (names.length > ATTRIBUTE_LIMITS.countMax)
      fields.fault(`has ${names.length} attributes, more than ${ATTRIBUTE_LIMITS.countMax}`)
    const read = new Map<string, FieldMapping>()
    for (const name of names.slice(0, ATTRIBUTE_LIMITS.countMax)) {
      const isName = isAttributeName(name)
      if (!isName) fields.fault('is no name of an attribute: letters, digits and _', name)
      read.set(name, this.#field(fields, name, 'attribute'))
    }
    return read
  }

  #field(parent: YamlFields, name: string, kind: FieldKind): FieldMapping {
    if (parent.kindOf(name) !== 'mapping') {
      const path = pathOf(parent, name)
      return { ...PLAIN, source: { kind: 'path', paths: path === null ? [] : [path] } }
    }
    return parent.object(name, (fields) => this.#mapping(fields, kind)) ?? PLAIN
  }

  #mapping(fields: YamlFields, kind: FieldKind): FieldMapping {
    const source = this.#source(fields)
    const fallback = fields.has('default') ? scalarOf(fields, 'default') : null
    const mapping: FieldMapping = {
      source,
      fallback: fallback === null ? null : String(fallback),
      table: fields.objectOr('table', readTable, null),
      token:
        kind === 'identifier' && fields.has('token') ? fields.oneOf('token', TOKEN_MODES) : null,
      unit: kind === 'amount' ? fields.oneOf('unit', AMOUNT_UNITS, 'major') : 'major',
      type: kind === 'attribute' ? fields.oneOf('type', ATTRIBUTE_TYPES, 'string') : 'string',
      timeFormat:
        kind === 'time' && fields.has('format')
          ? (fields.text('format', MAPPING_LIMITS.textCharactersMax)?.text ?? 'auto')
          : 'auto',
      zone:
        kind === 'time' && fields.has('zone')
          ? (fields.text('zone', MAPPING_LIMITS.textCharactersMax)?.text ?? 'UTC')
          : 'UTC',
    }
    checkTime(fields, mapping)
    const { table } = mapping
    if (table === null) return mapping
    return {
      ...mapping,
      table: { ...table, otherwise: fields.oneOf('otherwise', OTHERWISE, 'refuse') },
    }
  }

  #source(fields: YamlFields): ValueSource {
    const given = ['path', 'value', 'join', 'cel'].filter((name) => fields.has(name))
    if (given.length !== 1) {
      fields.fault('needs exactly one of path, value, join and cel')
      for (const name of given) fields.scalar(name)
      return PLAIN.source
    }
    if (fields.has('path')) return { kind: 'path', paths: pathsOf(fields, 'path') }
    if (fields.has('value')) return { kind: 'constant', value: scalarOf(fields, 'value') ?? '' }
    if (fields.has('cel'))
      return { kind: 'cel', expression: this.#expression(fields, 'cel', false) ?? '' }
    return {
      kind: 'join',
      paths: pathsOf(fields, 'join'),
      separator: fields.has('with') ? String(scalarOf(fields, 'with') ?? '') : '',
    }
  }

  #condition(fields: YamlFields, name: string): string | null {
    return fields.has(name) ? this.#expression(fields, name, true) : null
  }

  #expression(fields: YamlFields, name: string, isCondition: boolean): string | null {
    const found = fields.text(name, EXPRESSION_CHARACTERS_MAX)
    if (found === null) return null
    const compiled = compileExpression(found.text, isCondition)
    if (!compiled.ok)
      this.#faults.add(found.offsetOf(compiled.position), found.path, compiled.message)
    return found.text
  }
}

const NO_FIELDS: ReadonlyMap<string, FieldMapping> = new Map()

const NO_SOURCE: MappingSource = {
  topic: null,
  format: 'json',
  framing: 'none',
  start: 'earliest',
  columns: [],
  delimiter: ',',
  schemaFile: null,
}

const PLAIN: FieldMapping = {
  source: { kind: 'path', paths: [] },
  fallback: null,
  table: null,
  token: null,
  unit: 'major',
  type: 'string',
  timeFormat: 'auto',
  zone: 'UTC',
}

function readSource(fields: YamlFields): MappingSource {
  const format = fields.oneOf('format', MESSAGE_FORMATS)
  const isBinary = format === 'avro' || format === 'protobuf'
  const schemaFile =
    format === 'avro' && fields.has('schema')
      ? (fields.text('schema', MAPPING_LIMITS.textCharactersMax)?.text ?? null)
      : null
  const framing = fields.oneOf(
    'framing',
    FRAMINGS,
    isBinary && schemaFile === null ? 'confluent' : 'none',
  )
  if (format === 'csv' && framing !== 'none') fields.fault('is none for CSV', 'framing')
  if (isBinary && framing === 'none' && schemaFile === null)
    fields.fault(
      format === 'avro'
        ? 'is none, so that the schema must be given in "schema: FILE.avsc"'
        : 'must be confluent for Protobuf: its schemas come from a registry',
      'framing',
    )
  if (schemaFile !== null && framing !== 'none')
    fields.fault('is confluent, so that schemas come from a registry; leave schema out', 'framing')
  return {
    topic: fields.matchingOr('topic', TOPIC, 'a topic of Kafka', null),
    format,
    framing,
    start: fields.oneOf('start', STARTS, 'earliest'),
    columns: format === 'csv' ? columnsOf(fields) : [],
    delimiter: format === 'csv' ? delimiterOf(fields) : ',',
    schemaFile,
  }
}

function columnsOf(fields: YamlFields): readonly string[] {
  return fields.textsOr('columns', /^.{1,128}$/, 'names', MAPPING_LIMITS.columnsMax, []) ?? []
}

function delimiterOf(fields: YamlFields): string {
  const form = 'one character that is no letter, digit or quote'
  return fields.matchingOr('delimiter', /^[^"\r\n\w]$/, form, ',') ?? ','
}

function pathOf(fields: YamlFields, name: string): string | null {
  const text = fields.text(name, MAPPING_LIMITS.pathCharactersMax)?.text ?? null
  if (text === null) return null
  if (compilePath(text) !== null) return text
  fields.fault(
    `is ${JSON.stringify(text)}, which is no path: write a.b.c, /a/b/c, or one of $key, $topic, $partition, ` +
      `$offset, $timestamp and $headers.NAME, with at most ${MAPPING_LIMITS.pathStepsMax} steps`,
    name,
  )
  return null
}

/** One path or a list of them. */
function pathsOf(fields: YamlFields, name: string): readonly string[] {
  if (fields.kindOf(name) !== 'list') {
    const path = pathOf(fields, name)
    return path === null ? [] : [path]
  }
  const form = `paths of 1 to ${MAPPING_LIMITS.pathCharactersMax} characters`
  const paths = fields.texts(name, /^.{1,256}$/, form, MAPPING_LIMITS.pathsMax) ?? []
  const bad = paths.find((path) => compilePath(path) === null)
  if (bad !== undefined) fields.fault(`has ${JSON.stringify(bad)}, which is no path`, name)
  return paths
}

function scalarOf(fields: YamlFields, name: string): Scalar | null {
  const value = fields.scalar(name)
  const isText = typeof value === 'string' && value.length <= MAPPING_LIMITS.textCharactersMax
  if (isText || typeof value === 'number' || typeof value === 'boolean') {
    if (!holdsCardNumber(String(value))) return value
    fields.fault('seems to hold a card number; mappings have none', name)
    return null
  }
  const form = `a text of at most ${MAPPING_LIMITS.textCharactersMax} characters, a number or a boolean`
  fields.fault(`must be ${form}`, name)
  return null
}

function readTable(fields: YamlFields): ValueTable {
  const { names } = fields
  if (names.length === 0 || names.length > MAPPING_LIMITS.tableMax)
    fields.fault(`has ${names.length} values, but must have 1 to ${MAPPING_LIMITS.tableMax}`)
  const entries = new Map<string, string>()
  for (const name of names.slice(0, MAPPING_LIMITS.tableMax)) {
    const value = scalarOf(fields, name)
    if (value !== null) entries.set(name, String(value))
  }
  return { entries, otherwise: 'refuse' }
}

function checkTime(fields: YamlFields, { timeFormat, zone }: FieldMapping): void {
  if (compileTimeFormat('auto', zone) === null) {
    fields.fault(`is ${JSON.stringify(zone)}; write Asia/Seoul, +09:00 or UTC`, 'zone')
  } else if (compileTimeFormat(timeFormat, zone) === null) {
    const named = TIME_FORMATS.join(', ')
    fields.fault(
      `is ${JSON.stringify(timeFormat)}; write ${named}, or a pattern of yyyy, MM, dd, HH, mm, ss, S and X, with other ` +
        'letters in quotes',
      'format',
    )
  }
}
