// Conditions of a policy, in CEL: checked when a policy is applied, compiled once, evaluated for every transaction. CEL
// has no loops; macros over lists, patterns and dynamic types are disabled, so the cost of a condition is bounded by its
// length.

import {
  type ASTNode,
  Environment,
  ParseError,
  TypeError as CelTypeError,
} from '@marcbachmann/cel-js'
import { allowWholeLiterals } from '../cel-numbers.ts'
import { FEATURE_NAMES } from '../features/catalogue/feature-list.ts'
import { FEATURE_STATES } from '../features/engine/feature-states.ts'
import { FEATURE_ANNOTATIONS } from '../features/engine/feature-annotations.ts'
import { CASCADE_ANNOTATIONS } from '../scoring/cascade.ts'
import { AUTHORISATIONS, CHANNELS, ENTRY_MODES } from '../transaction.ts'
import {
  type ConditionVariable,
  ConditionViews,
  nearest,
  pathOf,
  PLAIN_VARIABLES,
  variablesOf,
  type ViewShape,
} from './condition-views.ts'
import type { PolicyDocument } from './policy-document.ts'
import { LAGGING_MARK } from './ruling.ts'

/** Limit on the characters of one condition (P6). */
export const CONDITION_CHARACTERS_MAX = 2_000

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 64,
  maxMapEntries: 0,
  maxCallArguments: 4,
} as const

/** True when the list contains the value at the current event time. */
export type InList = (list: string, value: string) => boolean

/** A compiled condition. */
export interface Condition {
  readonly uses: Uses
  /** Evaluates it for the current transaction of the views. @throws any error of the evaluation. */
  readonly holds: (views: ConditionViews) => boolean
}

export type CompiledCondition =
  | {
      readonly ok: true
      readonly condition: Condition
      /** Comparisons that are valid but can never hold. */
      readonly doubts: readonly ConditionFault[]
    }
  | { readonly ok: false; readonly faults: readonly ConditionFault[] }

/** Compiles conditions that share a policy's lists and attributes. */
export class ConditionCompiler {
  readonly #environment: Environment
  readonly #lists: ReadonlySet<string>
  readonly #variables: readonly ConditionVariable[]

  constructor({ lists, attributes }: Pick<PolicyDocument, 'lists' | 'attributes'>, inList: InList) {
    this.#lists = new Set(lists.map(({ name }) => name))
    this.#variables = variablesOf(attributes)
    this.#environment = environmentOf(this.#variables, inList)
  }

  /** Views of one transaction at a time for the conditions that this compiles. */
  createViews(): ConditionViews {
    return new ConditionViews(this.#variables)
  }

  /** Never throws on a bad condition. */
  compile(text: string): CompiledCondition {
    try {
      return this.#compile(text)
    } catch (error) {
      if (error instanceof ParseError || error instanceof CelTypeError) return refused(error)
      throw error
    }
  }

  #compile(text: string): CompiledCondition {
    const parsed = this.#environment.parse(text)
    const { faults, doubts, uses } = new ConditionWalk(parsed.ast, this.#variables)
    const unknown = [...uses.lists].filter((list) => !this.#lists.has(list))
    const listFaults = unknown.map((list) => ({
      position: Math.max(0, text.indexOf(list)),
      message: `the list ${list} is not among the policy's lists`,
    }))
    if (faults.length + listFaults.length > 0)
      return { ok: false, faults: [...faults, ...listFaults] }
    const { valid, type, error } = parsed.check()
    if (!valid) return refused(error)
    if (type !== 'bool') {
      return {
        ok: false,
        faults: [{ position: 0, message: `gives ${type ?? ''}, but must be true or false` }],
      }
    }
    const holds = (views: ConditionViews): boolean => parsed(views) === true
    return { ok: true, condition: { uses, holds }, doubts }
  }
}

function environmentOf(variables: readonly ConditionVariable[], inList: InList): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: false, limits: LIMITS })
  for (const { shape, view } of variables) {
    const type = `${shape.variable}_view`
    environment.registerType(type, { ctor: view, fields: shape.fields })
    environment.registerVariable(shape.variable, type)
  }
  for (const [name, type] of Object.entries(PLAIN_VARIABLES))
    environment.registerVariable(name, type)
  environment.registerFunction('inList(string, string): bool', inList)
  allowWholeLiterals(environment)
  environment.registerOperator(
    'double == int',
    (left: number, right: bigint) => left === Number(right),
  )
  return environment
}

function refused(error: ParseError | CelTypeError | undefined): CompiledCondition {
  const position = error?.range?.start ?? error?.node?.start ?? 0
  return { ok: false, faults: [{ position, message: error?.summary ?? 'cannot be read' }] }
}

// Static check of the syntax tree: only operations with bounded cost, only nodes that the type check covers, and no value
// that may be missing unless the condition tests its presence first.

/** Functions with linear cost. `matches` is not one: a pattern can take exponential time. */
const FUNCTIONS: readonly string[] = ['has', 'inList', 'size', 'double', 'int', 'string']
const METHODS: readonly string[] = ['contains', 'startsWith', 'endsWith', 'size']

export interface ConditionFault {
  /** Index of the character in the condition. */
  readonly position: number
  readonly message: string
}

/** The inputs used by a condition. */
export interface Uses {
  /** Indexes of features whose value or freshness it reads. */
  readonly features: ReadonlySet<number>
  readonly usesScore: boolean
  readonly lists: ReadonlySet<string>
}

/** Values known to be present, such as `features.amount` or `score`. */
type Present = ReadonlySet<string>
const NOTHING: Present = new Set()

/** Walks one condition and collects its faults, doubts and inputs. */
export class ConditionWalk {
  readonly faults: ConditionFault[] = []
  /** Comparisons that are valid but can never hold. */
  readonly doubts: ConditionFault[] = []
  readonly #shapes: readonly ViewShape[]
  readonly #features = new Set<number>()
  readonly #lists = new Set<string>()
  #usesScore = false

  constructor(root: ASTNode, variables: readonly ConditionVariable[]) {
    this.#shapes = variables.map(({ shape }) => shape)
    this.#visit(root, NOTHING)
  }

  get uses(): Uses {
    return { features: this.#features, usesScore: this.#usesScore, lists: this.#lists }
  }

  #visit(node: ASTNode, present: Present): void {
    switch (node.op) {
      case 'value':
        return
      case 'id':
        this.#variable(node.args, node, present)
        return
      case '.':
        this.#field(node, present)
        return
      case '&&':
        // Order does not matter: CEL ignores an error on one side when the other side is false.
        this.#visit(node.args[0], union(present, presentWhen(node.args[1], true)))
        this.#visit(node.args[1], union(present, presentWhen(node.args[0], true)))
        return
      case '||':
        this.#visit(node.args[0], union(present, presentWhen(node.args[1], false)))
        this.#visit(node.args[1], union(present, presentWhen(node.args[0], false)))
        return
      case '?:':
        this.#visit(node.args[0], present)
        this.#visit(node.args[1], union(present, presentWhen(node.args[0], true)))
        this.#visit(node.args[2], union(present, presentWhen(node.args[0], false)))
        return
      case '!_':
      case '-_':
        this.#visit(node.args, present)
        return
      case 'list':
        for (const item of node.args) this.#visit(item, present)
        return
      case 'call':
        this.#call(node.args[0], node.args[1], node, present)
        return
      case 'rcall':
        if (!METHODS.includes(node.args[0])) {
          this.#fault(node, `${node.args[0]}() is not known here; known are ${METHODS.join(', ')}`)
          return
        }
        for (const part of [node.args[1], ...node.args[2]]) this.#visit(part, present)
        return
      case '[]':
      case '[?]':
      case '.?':
      case 'map':
        this.#fault(node, 'maps and indexes are not known here; write features.name')
        return
      case '==':
      case '!=':
      case 'in':
        for (const { node: word, message } of impossibleWords(node)) {
          this.doubts.push({ position: word.start, message })
        }
        for (const side of node.args) this.#visit(side, present)
        return
      case '<':
      case '<=':
      case '>':
      case '>=':
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        for (const side of node.args) this.#visit(side, present)
    }
  }

  #variable(name: string, node: ASTNode, present: Present): void {
    if (this.#shapes.some(({ variable }) => variable === name)) {
      this.#fault(node, `${name} has fields; write ${name}.field`)
    }
    if (name !== 'score') return
    this.#usesScore = true
    if (present.has(name)) return
    this.#fault(node, 'score may be missing: write "scored && ..." before it')
  }

  #field(node: Extract<ASTNode, { op: '.' }>, present: Present): void {
    const named = this.#named(node)
    if (named === null) return
    if (!named.mayBeMissing || present.has(named.path)) return
    this.#fault(node, `${named.path} may be absent: write "has(${named.path}) && ..." before it`)
  }

  /** Resolves `variable.field`; null, with a fault, when it does not exist. */
  #named(node: ASTNode): { readonly path: string; readonly mayBeMissing: boolean } | null {
    const path = pathOf(node)
    const [variable = '', field = ''] = path?.split('.') ?? []
    const shape = this.#shapes.find((candidate) => candidate.variable === variable)
    if (path === null || shape === undefined) {
      this.#fault(node, 'fields are those of transaction, attributes, features and freshness')
      return null
    }
    if (!Object.hasOwn(shape.fields, field)) {
      const near = nearest(field, Object.keys(shape.fields))
      const hint = near === null ? '' : `; did you mean ${variable}.${near}?`
      const remedy = variable === 'attributes' ? '; declare it under attributes' : ''
      this.#fault(node, `${path} is not known${near === null ? remedy : hint}`)
      return null
    }
    if (variable === 'features' || variable === 'freshness')
      this.#features.add(FEATURE_NAMES.indexOf(field))
    return { path, mayBeMissing: shape.mayBeMissing(field) }
  }

  #call(name: string, parts: readonly ASTNode[], node: ASTNode, present: Present): void {
    if (!FUNCTIONS.includes(name)) {
      this.#fault(node, `${name}() is not known here; known are ${FUNCTIONS.join(', ')}`)
      return
    }
    const [first] = parts
    if (name === 'has') {
      if (first !== undefined) this.#named(first)
      return
    }
    if (name === 'inList') {
      if (first?.op === 'value' && typeof first.args === 'string') this.#lists.add(first.args)
      else this.#fault(node, 'the name of a list must be written out, as in inList("name", value)')
    }
    for (const part of parts) this.#visit(part, present)
  }

  #fault({ start }: ASTNode, message: string): void {
    this.faults.push({ position: start, message })
  }
}

/** Values certainly present when this part holds (or does not hold). */
function presentWhen(node: ASTNode, holds: boolean): Present {
  if (node.op === '&&' || node.op === '||') {
    const left = presentWhen(node.args[0], holds)
    const right = presentWhen(node.args[1], holds)
    // "a && b" being true implies both sides; "a && b" being false implies only what either side alone would imply.
    const tellsBoth = (node.op === '&&') === holds
    return tellsBoth ? union(left, right) : new Set([...left].filter((path) => right.has(path)))
  }
  if (node.op === '!_') return presentWhen(node.args, !holds)
  if (!holds) return NOTHING
  if (node.op === 'id') return node.args === 'scored' ? new Set(['score']) : NOTHING
  if (node.op !== 'call' || node.args[0] !== 'has') return NOTHING
  const [asked] = node.args[1]
  const path = asked === undefined ? null : pathOf(asked)
  return path === null ? NOTHING : new Set([path])
}

function union(one: Present, other: Present): Present {
  if (other.size === 0) return one
  return new Set([...one, ...other])
}

// Closed word lists of values. A comparison with any other word never holds and is usually a typing error, so it is a
// fault in new policies. Stored policies are accepted as they are: a word may have been retired, and old decisions must
// be replayed.

/** Possible words by the expression of the value. */
const WORDS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['transaction.channel', CHANNELS],
  ['transaction.entryMode', ENTRY_MODES],
  ['transaction.authorisation', AUTHORISATIONS],
  ['annotations', [...FEATURE_ANNOTATIONS, ...CASCADE_ANNOTATIONS, LAGGING_MARK]],
  ...FEATURE_NAMES.map((name) => [`freshness.${name}`, FEATURE_STATES] as const),
])

export interface ImpossibleWord {
  readonly node: ASTNode
  readonly message: string
}

/** Words in a comparison, or in the list of an `in`, that the value on the other side can never have. */
export function impossibleWords(
  comparison: Extract<ASTNode, { op: '==' | '!=' | 'in' }>,
): readonly ImpossibleWord[] {
  const [left, right] = comparison.args
  return [...unknownTo(left, right), ...unknownTo(right, left)]
}

function unknownTo(value: ASTNode, other: ASTNode): readonly ImpossibleWord[] {
  const name = (value.op === 'id' ? value.args : pathOf(value)) ?? ''
  const words = WORDS.get(name)
  if (words === undefined) return []
  const written = other.op === 'list' ? other.args : [other]
  return written.flatMap((node) => {
    if (node.op !== 'value' || typeof node.args !== 'string' || words.includes(node.args)) return []
    const near = nearest(node.args, words)
    const hint = near === null ? `has ${words.join(', ')}` : `did you mean "${near}"?`
    const verb = name === 'annotations' ? 'never has' : 'is never'
    return [{ node, message: `${name} ${verb} "${node.args}"; ${hint}` }]
  })
}
