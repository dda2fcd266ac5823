// What conditions see. One view stands for whatever transaction is asked about: its fields are read only when a
// condition names them, so that a rule costs what it looks at. An absent value is a missing field, never a number (P7).

import type { ASTNode } from '@marcbachmann/cel-js'
import { isScore } from '../decision/decide.ts'
import { FEATURES, FEATURE_NAMES } from '../features/catalogue/feature-list.ts'
import { FEATURE_STATES, STATE } from '../features/engine/feature-states.ts'
import type { Transaction } from '../transaction.ts'
import { LAGGING_MARK, type PolicyInput } from './ruling.ts'

/** Fields of a transaction and their CEL types. Numbers are doubles, so that no unit needs a conversion. */
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
} as const satisfies Readonly<Record<keyof Transaction, string>>

/** Those that are always there. */
const REQUIRED_FIELDS: readonly string[] = ['id', 'card', 'eventTimeMs', 'amountMinor', 'currency']

/** The amount in the reference currency, which is comparable where `amountMinor` is not. */
const REFERENCE_FIELD = 'referenceMinor'

/** Variables with fields: their names, the types of the fields, and which of these may be missing. */
export interface ViewShape {
  readonly variable: 'transaction' | 'features' | 'freshness'
  readonly fields: Readonly<Record<string, string>>
  readonly mayBeMissing: (field: string) => boolean
}

export const VIEW_SHAPES: readonly ViewShape[] = [
  {
    variable: 'transaction',
    fields: { ...TRANSACTION_FIELDS, [REFERENCE_FIELD]: 'double' },
    mayBeMissing: (field) => field !== REFERENCE_FIELD && !REQUIRED_FIELDS.includes(field),
  },
  {
    variable: 'features',
    fields: Object.fromEntries(FEATURE_NAMES.map((name) => [name, 'double'])),
    // What a transaction itself says is never degraded.
    mayBeMissing: (field) => {
      const definition = FEATURES[FEATURE_NAMES.indexOf(field)]
      return definition?.entity !== 'transaction' || definition.absence !== 'never'
    },
  },
  {
    variable: 'freshness',
    fields: Object.fromEntries(FEATURE_NAMES.map((name) => [name, 'string'])),
    mayBeMissing: () => false,
  },
]

/** `variable.field` of a syntax tree, or null for anything else. */
export function pathOf(node: ASTNode): string | null {
  if (node.op !== '.') return null
  const [of, field] = node.args
  return of.op === 'id' ? `${of.args}.${field}` : null
}

/** Variables without fields, and their CEL types. `score` may be asked for only where `scored` holds. */
export const PLAIN_VARIABLES = {
  score: 'double',
  scored: 'bool',
  degraded: 'bool',
  stale: 'bool',
  marks: 'list<string>',
} as const

/** Holds the transaction that is asked about. */
class View {
  input: PolicyInput | null = null
}

/** Everything that a condition can name, for one compiled policy. */
export class ConditionViews {
  readonly transaction = new (viewClass('transaction'))()
  readonly features = new (viewClass('features'))()
  readonly freshness = new (viewClass('freshness'))()
  #input: PolicyInput | null = null

  /** From here on conditions are about this one. */
  look(input: PolicyInput): void {
    this.#input = input
    this.transaction.input = input
    this.features.input = input
    this.freshness.input = input
  }

  get score(): number | undefined {
    const score = this.#input?.score ?? NaN
    return isScore(score) ? score : undefined
  }

  get scored(): boolean {
    return isScore(this.#input?.score ?? NaN)
  }

  get degraded(): boolean {
    return this.#input !== null && isDegraded(this.#input)
  }

  get stale(): boolean {
    return this.#input !== null && isStale(this.#input)
  }

  get marks(): readonly string[] {
    return this.#input?.marks ?? []
  }
}

/** Whether any of these features (all unless named) could not be read. */
export function isDegraded({ states }: PolicyInput, features?: readonly number[]): boolean {
  return hasState(states, STATE.degraded, features)
}

/** Whether any of these features (all unless named) has expired, or is of an entity whose other lanes lag behind. */
export function isStale({ states, marks }: PolicyInput, features?: readonly number[]): boolean {
  if (hasState(states, STATE.expired, features)) return true
  if (!marks.includes(LAGGING_MARK)) return false
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

/** Classes that the condition language knows by their shape; made once, since it looks at the constructor. */
const VIEW_CLASSES = {
  transaction: defineView(VIEW_SHAPES[0], (field) => (input) => {
    if (field === REFERENCE_FIELD) return input.referenceMinor
    return input.transaction[field as keyof Transaction] ?? undefined
  }),
  features: defineView(VIEW_SHAPES[1], (field) => {
    const index = FEATURE_NAMES.indexOf(field)
    return ({ row }) => {
      const value = row[index] ?? NaN
      return Number.isNaN(value) ? undefined : value
    }
  }),
  freshness: defineView(VIEW_SHAPES[2], (field) => {
    const index = FEATURE_NAMES.indexOf(field)
    return ({ states }) => FEATURE_STATES[states[index] ?? STATE.degraded]
  }),
} as const

export function viewClass(variable: ViewShape['variable']): typeof View {
  return VIEW_CLASSES[variable]
}

function defineView(
  shape: ViewShape | undefined,
  reader: (field: string) => (input: PolicyInput) => unknown,
): typeof View {
  class Shaped extends View {}
  for (const field of Object.keys(shape?.fields ?? {})) {
    const read = reader(field)
    Object.defineProperty(Shaped.prototype, field, {
      get(this: View) {
        return this.input === null ? undefined : read(this.input)
      },
    })
  }
  return Shaped
}
