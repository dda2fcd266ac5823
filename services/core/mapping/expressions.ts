// Expressions of a mapping, in CEL, over a message whose form is not known beforehand. As in policies, macros over lists
// and patterns are disabled: an expression costs at most its length times the message's.

import {
  type ASTNode,
  Environment,
  ParseError,
  TypeError as CelTypeError,
} from '@marcbachmann/cel-js'
import { allowWholeLiterals } from '../cel-numbers.ts'
import type { MappingInput } from './message-path.ts'

/** Limit on the characters of one expression. */
export const EXPRESSION_CHARACTERS_MAX = 2_000

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 256,
  maxMapEntries: 0,
  maxCallArguments: 4,
} as const

const FUNCTIONS: readonly string[] = ['has', 'size', 'double', 'int', 'string']
const METHODS: readonly string[] = [
  'contains',
  'startsWith',
  'endsWith',
  'size',
  'lowerAscii',
  'upperAscii',
  'substring',
  'indexOf',
  'trim',
]

/** A compiled expression. @throws any error of the evaluation, such as for a field that the message lacks. */
export type Expression = (input: MappingInput) => unknown

export type CompiledExpression =
  | { readonly ok: true; readonly evaluate: Expression }
  | { readonly ok: false; readonly position: number; readonly message: string }

let shared: Environment | null = null

/** Compiles an expression; `isCondition` requires that it can be true or false. Never throws on a bad one. */
export function compileExpression(text: string, isCondition: boolean): CompiledExpression {
  shared ??= environment()
  try {
    const parsed = shared.parse(text)
    const fault = faultIn(parsed.ast)
    if (fault !== null) return { ok: false, ...fault }
    const { valid, type, error } = parsed.check()
    if (!valid) return refused(error)
    if (isCondition && type !== 'bool' && type !== 'dyn') {
      return { ok: false, position: 0, message: `gives ${type ?? ''}, but must be true or false` }
    }
    return { ok: true, evaluate: (input) => parsed(input) as unknown }
  } catch (error) {
    if (error instanceof ParseError || error instanceof CelTypeError) return refused(error)
    throw error
  }
}

function environment(): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: false, limits: LIMITS })
  environment.registerVariable('message', 'dyn')
  environment.registerVariable('key', 'dyn')
  environment.registerVariable('headers', 'dyn')
  allowWholeLiterals(environment)
  return environment
}

function refused(error: ParseError | CelTypeError | undefined): CompiledExpression {
  const position = error?.range?.start ?? error?.node?.start ?? 0
  return { ok: false, position, message: error?.summary ?? 'cannot be read' }
}

interface Fault {
  readonly position: number
  readonly message: string
}

/** The first use of what is not allowed; null for none. */
function faultIn(node: ASTNode): Fault | null {
  switch (node.op) {
    case 'value':
    case 'id':
      return null
    case '.':
    case '.?':
      return faultIn(node.args[0])
    case '!_':
    case '-_':
      return faultIn(node.args)
    case 'call':
      if (!FUNCTIONS.includes(node.args[0])) return unknown(node, node.args[0], FUNCTIONS)
      return firstFault(node.args[1])
    case 'rcall':
      if (!METHODS.includes(node.args[0])) return unknown(node, node.args[0], METHODS)
      return firstFault([node.args[1], ...node.args[2]])
    case 'map':
      return { position: node.start, message: 'maps are not known here' }
    case 'list':
    case '?:':
    case '||':
    case '&&':
    case '[]':
    case '[?]':
    case '==':
    case '!=':
    case 'in':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return firstFault(node.args)
  }
}

function firstFault(nodes: readonly ASTNode[]): Fault | null {
  for (const node of nodes) {
    const fault = faultIn(node)
    if (fault !== null) return fault
  }
  return null
}

function unknown(node: ASTNode, name: string, known: readonly string[]): Fault {
  return {
    position: node.start,
    message: `${name}() is not known here; known are ${known.join(', ')}`,
  }
}
