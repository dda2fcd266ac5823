// The variables of conditions. One view object serves all transactions; its fields are read only when a condition names
// them, so a rule costs only what it reads. An absent value is a missing field, never a number (P7).

import assert from 'node:assert/strict'
import type { ASTNode } from '@marcbachmann/cel-js'
import { isScore } from '../decision/decide.ts'
import { FEATURE_NAMES, FEATURES } from '../features/catalogue/feature-list.ts'
import { FEATURE_STATES, STATE } from '../features/engine/feature-states.ts'
import type { Transaction } from '../transaction.ts'
import type { PolicyAttribute } from './policy-document.ts'
import { LAGGING_MARK, type PolicyInput } from './ruling.ts'

/** Fields of a transaction and their CEL types. All numbers are doubles, so conditions need no conversions. */
const TRANSACTION_FIELDS = {
  id: 'string',
  card: 'string',
  eventTimeMs: 'double',
  amountMinor: 'double',
  currency: 'string',
  merchant: 'string',
  merchantCategory: 'string',
  terminal: 'string',
  country: 'string',
  latitude: 'double',
  longitude: 'double',
  utcOffsetMinutes: 'double',
  device: 'string',
  ipNetwork: 'string',
  channel: 'string',
  entryMode: 'string',
  authorisation: 'string',
  intentId: 'string',
} as const satisfies Readonly<Record<Exclude<keyof Transaction, 'attributes'>, string>>

/** Fields that are always present. */
const REQUIRED_FIELDS: readonly string[] = ['id', 'card', 'eventTimeMs', 'amountMinor', 'currency']

/** The amount in the reference currency, comparable across currencies. */
const REFERENCE_FIELD = 'referenceMinor'

/** A variable with fields: its name, the types of its fields, and which of them may be missing. */
export interface ViewShape {
  readonly variable: 'transaction' | 'features' | 'freshness' | 'attributes'
  readonly fields: Readonly<Record<string, string>>
  readonly mayBeMissing: (field: string) => boolean
}

const TRANSACTION_SHAPE: ViewShape = {
  variable: 'transaction',
  fields: { ...TRANSACTION_FIELDS, [REFERENCE_FIELD]: 'double' },
  mayBeMissing: (field) => field !== REFERENCE_FIELD && !REQUIRED_FIELDS.includes(field),
}

/** Names of the fields of `transaction`. */
export const TRANSACTION_NAMES: readonly string[] = Object.keys(TRANSACTION_SHAPE.fields)

const FEATURES_SHAPE: ViewShape = {
  variable: 'features',
  fields: Object.fromEntries(FEATURE_NAMES.map((name) => [name, 'double'])),
  // Features of the transaction itself are never degraded.
  mayBeMissing: (field) => {
    const definition = FEATURES[FEATURE_NAMES.indexOf(field)]
    return definition?.entity !== 'transaction' || definition.absence !== 'never'
  },
}

const FRESHNESS_SHAPE: ViewShape = {
  variable: 'freshness',
  fields: Object.fromEntries(FEATURE_NAMES.map((name) => [name, 'string'])),
  mayBeMissing: () => false,
}

const CEL_TYPES = { string: 'string', number: 'double', boolean: 'bool' } as const

/** The attributes that a policy declares; each may be absent from a transaction. */
function attributesShape(attributes: readonly PolicyAttribute[]): ViewShape {
  return {
    variable: 'attributes',
    fields: Object.fromEntries(attributes.map(({ name, type }) => [name, CEL_TYPES[type]])),
    mayBeMissing: () => true,
  }
}

/** A variable with fields and the class of its view, which is its CEL type. */
export interface ConditionVariable {
  readonly shape: ViewShape
  readonly view: typeof View
}

/** The variables with fields of a policy that declares these attributes. */
export function variablesOf(attributes: readonly PolicyAttribute[]): readonly ConditionVariable[] {
  const shape = attributesShape(attributes)
  const view = defineView(shape, (field) => {
    const type = attributes.find(({ name }) => name === field)?.type
    return ({ transaction }) => {
      const { attributes: given } = transaction
      if (given === null || !Object.hasOwn(given, field)) return undefined
      const value = given[field]
      return typeof value === type ? value : undefined
    }
  })
  return [...COMMON_VARIABLES, { shape, view }]
}

/** `variable.field` for a field access of the syntax tree; null for any other node. */
export function pathOf(node: ASTNode): string | null {
  if (node.op !== '.') return null
  const [of, field] = node.args
  return of.op === 'id' ? `${of.args}.${field}` : null
}

/** Variables without fields, and their CEL types. `score` may be used only where `scored` holds. */
export const PLAIN_VARIABLES = {
  score: 'double',
  scored: 'bool',
  degraded: 'bool',
  stale: 'bool',
  annotations: 'list<string>',
} as const

/** Not a name, so that no field of a view can have it. */
const CURRENT = Symbol('current input')

/** Base of the views; holds the current transaction. */
class View {
  [CURRENT]: PolicyInput | null = null
}

/** All variables of conditions, for one compiled policy. */
export class ConditionViews {
  readonly transaction: View
  readonly features: View
  readonly freshness: View
  readonly attributes: View
  #input: PolicyInput | null = null

  constructor(variables: readonly ConditionVariable[]) {
    const viewOf = (name: ViewShape['variable']): View => {
      const found = variables.find(({ shape }) => shape.variable === name)
      assert(found !== undefined, `The variable ${name} has a view.`)
      return new found.view()
    }
    this.transaction = viewOf('transaction')
    this.features = viewOf('features')
    this.freshness = viewOf('freshness')
    this.attributes = viewOf('attributes')
  }

  /** Makes this the current transaction. */
  look(input: PolicyInput): void {
    this.#input = input
    this.transaction[CURRENT] = input
    this.features[CURRENT] = input
    this.freshness[CURRENT] = input
    this.attributes[CURRENT] = input
  }

  get score(): number | undefined {
    const score = this.#input?.score
    return score !== undefined && isScore(score) ? score : undefined
  }

  get scored(): boolean {
    return this.score !== undefined
  }

  get degraded(): boolean {
    return this.#input !== null && isDegraded(this.#input)
  }

  get stale(): boolean {
    return this.#input !== null && isStale(this.#input)
  }

  get annotations(): readonly string[] {
    return this.#input?.annotations ?? []
  }
}

/** True when any of these features (by default all) could not be read. */
export function isDegraded({ states }: PolicyInput, features?: readonly number[]): boolean {
  return hasState(states, STATE.degraded, features)
}

/** True when any of these features (by default all) has expired, or belongs to an entity with lagging partitions. */
export function isStale(
  { states, annotations }: PolicyInput,
  features?: readonly number[],
): boolean {
  if (hasState(states, STATE.expired, features)) return true
  if (!annotations.includes(LAGGING_MARK)) return false
  return features === undefined || features.some((feature) => isShared(feature))
}

function isShared(feature: number): boolean {
  const entity = FEATURES[feature]?.entity
  return entity !== 'card' && entity !== 'transaction'
}

function hasState(states: Uint8Array, state: number, features?: readonly number[]): boolean {
  return features === undefined
    ? states.includes(state)
    : features.some((feature) => states[feature] === state)
}

/** The variables of every policy; created once, since CEL identifies types by their constructor. */
const COMMON_VARIABLES: readonly ConditionVariable[] = [
  {
    shape: TRANSACTION_SHAPE,
    view: defineView(TRANSACTION_SHAPE, (field) => (input) => {
      if (field === REFERENCE_FIELD)
        return Number.isNaN(input.referenceMinor) ? undefined : input.referenceMinor
      return input.transaction[field as keyof Transaction] ?? undefined
    }),
  },
  {
    shape: FEATURES_SHAPE,
    view: defineView(FEATURES_SHAPE, (field) => {
      const index = FEATURE_NAMES.indexOf(field)
      return ({ row }) => {
        const value = row[index]
        return Number.isNaN(value) ? undefined : value
      }
    }),
  },
  {
    shape: FRESHNESS_SHAPE,
    view: defineView(FRESHNESS_SHAPE, (field) => {
      const index = FEATURE_NAMES.indexOf(field)
      return ({ states }) => FEATURE_STATES[states[index] ?? STATE.degraded]
    }),
  },
]

function defineView(
  shape: ViewShape,
  reader: (field: string) => (input: PolicyInput) => unknown,
): typeof View {
  class Shaped extends View {}
  for (const field of Object.keys(shape.fields)) {
    const read = reader(field)
    Object.defineProperty(Shaped.prototype, field, {
      get(this: View) {
        return this[CURRENT] === null ? undefined : read(this[CURRENT])
      },
    })
  }
  return Shaped
}

/** The known name most similar to an unknown one; null when none is similar. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Insertions, deletions and substitutions (Levenshtein 1966). */
function editDistance(one: string, other: string): number {
  let above = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [row, letter] of Array.from(one).entries()) {
    const line = [row + 1]
    for (const [column, against] of Array.from(other).entries()) {
      const replaced = cell(above, column) + (letter === against ? 0 : 1)
      line.push(Math.min(replaced, cell(above, column + 1) + 1, cell(line, column) + 1))
    }
    above = line
  }
  return cell(above, above.length - 1)
}

function cell(line: readonly number[], column: number): number {
  const value = line[column]
  assert(value !== undefined, 'The cells before this one are filled.')
  return value
}
