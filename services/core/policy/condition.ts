// Conditions of a policy, in CEL: checked when a policy is applied, compiled once, asked for every transaction. The
// language has no loops; its macros over lists, its patterns and its dynamic types are left out, so that what a
// condition can cost is bounded by its length.

import { Environment, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js'
import { PLAIN_VARIABLES, viewClass, VIEW_SHAPES, type ConditionViews } from './condition-views.ts'
import { ConditionWalk, type ConditionFault, type Uses } from './condition-walk.ts'

/** Characters of one condition. */
export const CONDITION_CHARACTERS_MAX = 2_000

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 64,
  maxMapEntries: 0,
  maxCallArguments: 4,
} as const

/** Whether a list has a value now. */
export type InList = (list: string, value: string) => boolean

/** A condition that may be asked. */
export interface Condition {
  readonly uses: Uses
  /** Asks it of what the views look at. @throws whatever the evaluation runs into. */
  readonly holds: (views: ConditionViews) => boolean
}

export type CompiledCondition =
  | {
      readonly ok: true
      readonly condition: Condition
      /** What is allowed, but cannot be meant. */
      readonly doubts: readonly ConditionFault[]
    }
  | { readonly ok: false; readonly faults: readonly ConditionFault[] }

/** Compiles conditions that share the same lists. */
export class ConditionCompiler {
  readonly #environment: Environment
  readonly #lists: ReadonlySet<string>

  constructor(lists: Iterable<string>, inList: InList) {
    this.#lists = new Set(lists)
    this.#environment = environmentOf(inList)
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
    const { faults, doubts, uses } = new ConditionWalk(parsed.ast)
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

function environmentOf(inList: InList): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: false, limits: LIMITS })
  for (const { variable, fields } of VIEW_SHAPES) {
    const type = `${variable}_view`
    environment.registerType(type, { ctor: viewClass(variable), fields })
    environment.registerVariable(variable, type)
  }
  for (const [name, type] of Object.entries(PLAIN_VARIABLES))
    environment.registerVariable(name, type)
  environment.registerFunction('inList(string, string): bool', inList)
  // Whole numbers are written without a point; all fields are doubles.
  const mixed: Readonly<
    Record<string, (left: number | bigint, right: number | bigint) => unknown>
  > = {
    '+': (left, right) => Number(left) + Number(right),
    '-': (left, right) => Number(left) - Number(right),
    '*': (left, right) => Number(left) * Number(right),
    '/': (left, right) => Number(left) / Number(right),
  }
  for (const [operator, compute] of Object.entries(mixed)) {
    environment.registerOperator(`double ${operator} int`, compute)
    environment.registerOperator(`int ${operator} double`, compute)
  }
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
