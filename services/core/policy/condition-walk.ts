// What a condition may be made of, found from its syntax tree: nothing whose cost is not bounded by its length, nothing
// that a type check cannot see, and no value that may be missing unless the condition asks for it first.

import type { ASTNode } from '@marcbachmann/cel-js'
import { FEATURE_NAMES } from '../features/catalogue/feature-list.ts'
import { pathOf, VIEW_SHAPES } from './condition-views.ts'
import { impossibleWords } from './condition-words.ts'
import { nearest } from './nearest.ts'

/** Functions of one pass over their arguments. `matches` is none: a pattern can take exponential time. */
const FUNCTIONS: readonly string[] = ['has', 'inList', 'size', 'double', 'int', 'string']
const METHODS: readonly string[] = ['contains', 'startsWith', 'endsWith', 'size']

export interface ConditionFault {
  /** Of the character in the condition. */
  readonly position: number
  readonly message: string
}

/** What a condition looks at. */
export interface Uses {
  /** Indexes of features whose value or freshness it asks for. */
  readonly features: ReadonlySet<number>
  readonly usesScore: boolean
  readonly lists: ReadonlySet<string>
}

/** Values known to be there, such as `features.amount` or `score`. */
type Present = ReadonlySet<string>
const NOTHING: Present = new Set()

/** Walks one condition and collects all faults and doubts. */
export class ConditionWalk {
  readonly faults: ConditionFault[] = []
  /** Comparisons that are allowed, but that no transaction can meet. */
  readonly doubts: ConditionFault[] = []
  readonly #features = new Set<number>()
  readonly #lists = new Set<string>()
  #usesScore = false

  constructor(root: ASTNode) {
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
        // Either side may stand first: an error on one is taken back by a false on the other.
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
    if (VIEW_SHAPES.some(({ variable }) => variable === name)) {
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

  /** What `variable.field` names; null, with a fault, when there is nothing of that name. */
  #named(node: ASTNode): { readonly path: string; readonly mayBeMissing: boolean } | null {
    const path = pathOf(node)
    const [variable = '', field = ''] = path?.split('.') ?? []
    const shape = VIEW_SHAPES.find((candidate) => candidate.variable === variable)
    if (path === null || shape === undefined) {
      this.#fault(node, 'fields are those of transaction, features and freshness')
      return null
    }
    if (!Object.hasOwn(shape.fields, field)) {
      const near = nearest(field, Object.keys(shape.fields))
      const hint = near === null ? '' : `; did you mean ${variable}.${near}?`
      this.#fault(node, `${path} is not known${hint}`)
      return null
    }
    if (variable !== 'transaction') this.#features.add(FEATURE_NAMES.indexOf(field))
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

/** What is certainly there when this part holds (or does not hold). */
function presentWhen(node: ASTNode, holds: boolean): Present {
  if (node.op === '&&' || node.op === '||') {
    const left = presentWhen(node.args[0], holds)
    const right = presentWhen(node.args[1], holds)
    // "a and b holds" tells both; "a and b does not hold" tells only what either would tell.
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
