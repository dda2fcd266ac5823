// Compiles a mapping into a function from messages to transactions and labels. Everything that depends only on the mapping
// is decided once; what comes out passes the same checks as a message of our own topics.

import { minorDigitsOf } from '../currency.ts'
import type { RejectReason } from '../dead-letters.ts'
import { parseUtcOffsetMinutes } from '../files/event-time.ts'
import { parseAmount, parseMinorAmount } from '../files/row-reader.ts'
import {
  AUTHORISATIONS,
  CHANNELS,
  ENTRY_MODES,
  LABEL_SOURCES,
  type AttributeValue,
  type Attributes,
  type Label,
  type Transaction,
} from '../transaction.ts'
import { DECLARED_TOKEN_PREFIX, validateLabel, validateTransaction } from '../wire/validation.ts'
import type { CardTokeniser } from './card-tokens.ts'
import { compileCondition, compileText, type ReadText } from './field-values.ts'
import type { AttributeType } from '../policy/policy-document.ts'
import {
  type FieldMapping,
  type LabelField,
  type MappingDocument,
  type MappingRule,
  type TransactionField,
} from './mapping-document.ts'
import type { MappingFault } from './mapping-fault.ts'
import { MappingRefusal } from './mapping-refusal.ts'
import type { MappingInput } from './message-path.ts'
import { compileTimeFormat } from './time-format.ts'

/** What a message becomes. */
export type Mapped =
  | {
      readonly kind: 'mapped'
      readonly rule: string
      readonly transaction: Transaction | null
      readonly label: Label | null
    }
  /** The filter or a rule leaves it out. */
  | { readonly kind: 'skipped'; readonly rule: string | null }
  | {
      readonly kind: 'refused'
      readonly reason: MappingFault | RejectReason
      readonly field: string | null
      /** For people; holds nothing of the message. */
      readonly problem: string
      readonly rule: string | null
    }

/** Maps one message. Never throws for a bad one. Hot path. */
export type MapMessage = (input: MappingInput) => Mapped

/** What a mapping needs from outside. */
export interface MappingDeps {
  /** Null without keys; then no field may ask for tokens by hash. */
  readonly tokenise: CardTokeniser | null
  /** Finds the transaction of a label, for what the mapping lacks; null without a store of transactions. */
  readonly find?: FindLabelled | null
}

/** The fields of a transaction that its label repeats. */
export type LabelledTransaction = Pick<
  Transaction,
  'id' | 'card' | 'eventTimeMs' | 'merchant' | 'terminal' | 'device' | 'ipNetwork'
>

/** Null for a transaction that is not known. */
export type FindLabelled = (transactionId: string) => LabelledTransaction | null

/** True when a field of the mapping is a token by hash, so that keys are needed. */
export function needsTokenKeys({ rules }: MappingDocument): boolean {
  return rules.some(({ transaction, label }) =>
    [...(transaction?.values() ?? []), ...(label?.values() ?? [])].some(
      ({ token }) => token === 'hmac',
    ),
  )
}

/** Compiles a checked mapping. */
export function compileMapping(document: MappingDocument, deps: MappingDeps): MapMessage {
  const filter = document.filter === null ? null : compileCondition('filter', document.filter)
  const rules = document.rules.map((rule) => compileRule(rule, deps))
  const unmatched: Mapped =
    document.unmatched === 'skip'
      ? { kind: 'skipped', rule: null }
      : {
          kind: 'refused',
          reason: 'no_rule',
          field: null,
          problem: 'no rule applies to it',
          rule: null,
        }
  const leftOut: Mapped = { kind: 'skipped', rule: null }
  return (input) => {
    let current: string | null = null
    try {
      if (filter !== null && !filter(input)) return leftOut
      for (const { name, applies, map } of rules) {
        if (applies !== null && !applies(input)) continue
        current = name
        return map(input)
      }
      return unmatched
    } catch (error) {
      if (!(error instanceof MappingRefusal)) throw error
      const { reason, field, message: problem } = error
      return { kind: 'refused', reason, field, problem, rule: current }
    }
  }
}

interface CompiledRule {
  readonly name: string
  readonly applies: ((input: MappingInput) => boolean) | null
  readonly map: MapMessage
}

function compileRule(rule: MappingRule, deps: MappingDeps): CompiledRule {
  const { name, when } = rule
  const applies = when === null ? null : compileCondition(`${name}.when`, when)
  if (rule.skip) return { name, applies, map: () => ({ kind: 'skipped', rule: name }) }
  const readTransaction =
    rule.transaction && compileTransaction(rule.transaction, rule.attributes, deps)
  const readLabel = rule.label && compileLabel(rule.label, deps)
  return {
    name,
    applies,
    map: (input) => {
      const transaction = readTransaction?.(input) ?? null
      const label = readLabel?.(input, transaction) ?? null
      if (transaction === null && label === null) return { kind: 'skipped', rule: name }
      return { kind: 'mapped', rule: name, transaction, label }
    },
  }
}

function compileTransaction(
  fields: ReadonlyMap<TransactionField, FieldMapping>,
  attributes: ReadonlyMap<string, FieldMapping>,
  deps: MappingDeps,
): (input: MappingInput) => Transaction {
  const make = new FieldCompiler<TransactionField>(fields, deps)
  const attributesOf = compileAttributes(attributes)
  const [timeOf, currencyOf] = [needed('eventTime', make.time('eventTime')), make.code('currency')]
  const amountOf = make.amount('amount')
  const [idOf, cardOf] = [make.identifier('id'), make.identifier('card')]
  const [merchantOf, categoryOf] = [
    make.identifier('merchant'),
    make.identifier('merchantCategory'),
  ]
  const [terminalOf, countryOf] = [make.identifier('terminal'), make.code('country')]
  const [latitudeOf, longitudeOf] = [make.number('latitude'), make.number('longitude')]
  const utcOffsetOf = make.utcOffset('utcOffsetMinutes')
  const [deviceOf, networkOf] = [make.identifier('device'), make.identifier('ipNetwork')]
  const intentOf = make.identifier('intentId')
  const channelOf = make.word('channel', CHANNELS)
  const entryModeOf = make.word('entryMode', ENTRY_MODES)
  const authorisationOf = make.word('authorisation', AUTHORISATIONS)
  return (input) => {
    const eventTimeMs = timeOf(input)
    const currency = present('currency', currencyOf(input))
    return accepted(
      validateTransaction({
        id: present('id', idOf(input, eventTimeMs)),
        card: present('card', cardOf(input, eventTimeMs)),
        eventTimeMs,
        amountMinor: amountOf(input, currency),
        currency,
        merchant: merchantOf(input, eventTimeMs),
        merchantCategory: categoryOf(input, eventTimeMs),
        terminal: terminalOf(input, eventTimeMs),
        country: countryOf(input),
        latitude: latitudeOf(input),
        longitude: longitudeOf(input),
        utcOffsetMinutes: utcOffsetOf(input),
        device: deviceOf(input, eventTimeMs),
        ipNetwork: networkOf(input, eventTimeMs),
        channel: channelOf(input),
        entryMode: entryModeOf(input),
        authorisation: authorisationOf(input),
        intentId: intentOf(input, eventTimeMs),
        attributes: attributesOf(input),
      }),
    )
  }
}

/** Attributes without a value are left out. */
function compileAttributes(
  attributes: ReadonlyMap<string, FieldMapping>,
): (input: MappingInput) => Attributes | null {
  if (attributes.size === 0) return NONE
  const readers = [...attributes].map(([name, mapping]) => ({
    name,
    type: mapping.type,
    read: compileText(name, mapping),
  }))
  return (input) => {
    const values: Record<string, AttributeValue> = {}
    let count = 0
    for (const { name, type, read } of readers) {
      const text = read(input)
      if (text === null) continue
      values[name] = attributeOf(name, type, text)
      count += 1
    }
    return count === 0 ? null : values
  }
}

function attributeOf(name: string, type: AttributeType, text: string): AttributeValue {
  if (type === 'string') return text.normalize('NFC')
  if (type === 'number') {
    const value = Number(text)
    if (/^[-+]?\d/.test(text) && Number.isFinite(value)) return value
    throw new MappingRefusal('bad_number', name, 'is no number')
  }
  const lower = text.toLowerCase()
  if (lower === 'true' || lower === '1') return true
  if (lower === 'false' || lower === '0') return false
  throw new MappingRefusal('unknown_word', name, 'is neither true nor false')
}

const FRAUD_WORDS: ReadonlySet<string> = new Set(['fraud', '1', 'true', 'yes', 'y'])
const GENUINE_WORDS: ReadonlySet<string> = new Set(['genuine', '0', 'false', 'no', 'n'])

/** A label without a verdict is none. */
function compileLabel(
  fields: ReadonlyMap<LabelField, FieldMapping>,
  deps: MappingDeps,
): (input: MappingInput, transaction: Transaction | null) => Label | null {
  const make = new FieldCompiler<LabelField>(fields, deps)
  const { find } = deps
  const verdictOf = make.text('verdict')
  const [timeOf, knownAtOf] = [make.time('eventTime'), make.time('knownAt')]
  const sourceOf = make.word('source', LABEL_SOURCES)
  const [idOf, cardOf] = [make.identifier('transactionId'), make.identifier('card')]
  const [merchantOf, terminalOf] = [make.identifier('merchant'), make.identifier('terminal')]
  const [deviceOf, networkOf] = [make.identifier('device'), make.identifier('ipNetwork')]
  return (input, transaction) => {
    const verdict = verdictOfWord(verdictOf(input))
    if (verdict === null) return null
    const timeMs = timeOf(input) ?? transaction?.eventTimeMs ?? null
    const transactionId = present(
      'transactionId',
      idOf(input, timeMs ?? input.timestampMs) ?? transaction?.id ?? null,
    )
    const known = transaction ?? find?.(transactionId) ?? null
    const eventTimeMs = present('eventTime', timeMs ?? known?.eventTimeMs ?? null)
    return accepted(
      validateLabel({
        transactionId,
        card: present('card', cardOf(input, eventTimeMs) ?? known?.card ?? null),
        eventTimeMs,
        knownAtMs: knownAtOf(input) ?? input.timestampMs,
        verdict,
        source: sourceOf(input) ?? 'unknown',
        merchant: merchantOf(input, eventTimeMs) ?? known?.merchant ?? null,
        terminal: terminalOf(input, eventTimeMs) ?? known?.terminal ?? null,
        device: deviceOf(input, eventTimeMs) ?? known?.device ?? null,
        ipNetwork: networkOf(input, eventTimeMs) ?? known?.ipNetwork ?? null,
      }),
    )
  }
}

function verdictOfWord(text: string | null): 'fraud' | 'genuine' | null {
  if (text === null) return null
  const lower = text.toLowerCase()
  if (FRAUD_WORDS.has(lower)) return 'fraud'
  if (GENUINE_WORDS.has(lower)) return 'genuine'
  throw new MappingRefusal(
    'unknown_word',
    'verdict',
    'is neither fraud nor genuine; translate it in a table',
  )
}

const NUMBER = /^-?\d{1,4}(?:\.\d{1,20})?$/
const NONE = (): null => null

/** Reads an identifier; tokens by hash depend on the time of the payment. */
type ReadIdentifier = (input: MappingInput, eventTimeMs: number) => string | null

/** Compiles the fields of one record by their kinds. A field that is not mapped is absent. */
class FieldCompiler<Field extends TransactionField | LabelField> {
  readonly #fields: ReadonlyMap<Field, FieldMapping>
  readonly #deps: MappingDeps

  constructor(fields: ReadonlyMap<Field, FieldMapping>, deps: MappingDeps) {
    this.#fields = fields
    this.#deps = deps
  }

  text(field: Field): ReadText {
    const mapping = this.#fields.get(field)
    return mapping === undefined ? NONE : compileText(field, mapping)
  }

  identifier(field: Field): ReadIdentifier {
    const read = this.text(field)
    if (read === NONE) return NONE
    const token = this.#fields.get(field)?.token ?? null
    if (token === null) return (input) => composed(read(input))
    if (token === 'declared') {
      return (input) => {
        const text = composed(read(input))
        return text === null ? null : DECLARED_TOKEN_PREFIX + text
      }
    }
    const { tokenise } = this.#deps
    if (tokenise === null) throw new Error('Keys of tokens were not checked.')
    return (input, eventTimeMs) => {
      const text = composed(read(input))
      return text === null ? null : tokenise(text, eventTimeMs)
    }
  }

  /** Upper-case letters, as of currencies and countries. */
  code(field: Field): ReadText {
    const read = this.text(field)
    return read === NONE ? NONE : (input) => read(input)?.toUpperCase() ?? null
  }

  number(field: Field): (input: MappingInput) => number | null {
    const read = this.text(field)
    return (input) => {
      const text = read(input)
      if (text === null) return null
      if (NUMBER.test(text)) return Number(text)
      throw new MappingRefusal('bad_number', field, 'is no decimal number')
    }
  }

  utcOffset(field: Field): (input: MappingInput) => number | null {
    const read = this.text(field)
    return (input) => {
      const text = read(input)
      if (text === null) return null
      const minutes = parseUtcOffsetMinutes(text)
      if (minutes !== null) return minutes
      const problem = 'is neither an offset such as +02:00 nor minutes such as 120'
      throw new MappingRefusal('bad_number', field, problem)
    }
  }

  word<Word extends string>(
    field: Field,
    words: readonly Word[],
  ): (input: MappingInput) => Word | null {
    const read = this.text(field)
    const known = new Map<string, Word>(words.map((word) => [word, word]))
    return (input) => {
      const text = read(input)
      if (text === null) return null
      const word = known.get(text) ?? known.get(text.toLowerCase())
      if (word !== undefined) return word
      throw new MappingRefusal('unknown_word', field, `is not one of ${words.join(', ')}`)
    }
  }

  time(field: Field): (input: MappingInput) => number | null {
    const mapping = this.#fields.get(field)
    if (mapping === undefined) return NONE
    const read = compileText(field, mapping)
    const parse = compileTimeFormat(mapping.timeFormat, mapping.zone)
    if (parse === null) throw new Error('The format of a time was not checked.')
    return (input) => {
      const text = read(input)
      if (text === null) return null
      const timeMs = parse(text)
      if (timeMs !== null) return timeMs
      throw new MappingRefusal(
        'bad_time',
        field,
        `is no time from 2000 to 2100 in the format ${mapping.timeFormat}`,
      )
    }
  }

  amount(field: Field): (input: MappingInput, currency: string) => number {
    const read = this.text(field)
    const isMinor = this.#fields.get(field)?.unit === 'minor'
    return (input, currency) => {
      if (minorDigitsOf(currency) === undefined)
        throw new MappingRefusal('unknown_currency', 'currency', 'is no currency of ISO 4217')
      const text = present(field, read(input))
      const parsed = isMinor ? parseMinorAmount(text) : parseAmount(text, currency)
      if (parsed.ok) return parsed.amountMinor
      throw new MappingRefusal('bad_amount', field, parsed.problem)
    }
  }
}

/** One way to write each text, so that equal names are equal identifiers. */
function composed(text: string | null): string | null {
  return text === null ? null : text.normalize('NFC')
}

function needed<Value>(
  field: string,
  read: (input: MappingInput) => Value | null,
): (input: MappingInput) => Value {
  return (input) => present(field, read(input))
}

function present<Value>(field: string, value: Value | null): Value {
  if (value !== null) return value
  throw new MappingRefusal('missing_field', field, 'has no value')
}

/** Fields that the checks of messages name differently. */
const FIELD_OF_CHECK: Readonly<Record<string, TransactionField | LabelField>> = {
  eventTimeMs: 'eventTime',
  amountMinor: 'amount',
  knownAtMs: 'knownAt',
}

function accepted<Value>(
  checked:
    | { readonly ok: true; readonly value: Value }
    | { readonly ok: false; readonly reason: RejectReason; readonly field: string | null },
): Value {
  if (checked.ok) return checked.value
  const { reason, field } = checked
  const problem =
    reason === 'card_number_suspected'
      ? 'looks like a card number; have it tokenised, or declare that it is a token'
      : 'is not accepted'
  throw new MappingRefusal(
    reason,
    field === null ? null : (FIELD_OF_CHECK[field] ?? field),
    problem,
  )
}
