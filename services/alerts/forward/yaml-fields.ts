// Reads a YAML file that people write: each value is checked where it is read, and every fault is kept with its line,
// so that all of them are told at once.

import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml'

const PROBLEMS_MAX = 50

/** What is wrong with one file. */
export class YamlProblems {
  readonly #lines = new LineCounter()
  readonly #found: { readonly line: number; readonly text: string }[] = []

  /** The file's content; null when it is no YAML, which is then a problem. */
  parse(text: string): Node | null {
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
    for (const { pos, message } of [...document.errors, ...document.warnings]) {
      this.#found.push({ line: this.#lines.linePos(pos[0]).line, text: message })
    }
    return document.errors.length > 0 ? null : document.contents
  }

  add(node: Node | null, text: string): void {
    const offset = node?.range?.[0]
    this.#found.push({ line: offset === undefined ? 1 : this.#lines.linePos(offset).line, text })
  }

  /** Sentences with their lines, in the order of the file. */
  get sentences(): readonly string[] {
    return [...this.#found]
      .sort((a, b) => a.line - b.line)
      .slice(0, PROBLEMS_MAX)
      .map(({ line, text }) => `line ${line}: ${text}`)
  }
}

/** Bounds of a number. */
export interface NumberBounds {
  readonly min: number
  readonly max: number
  readonly isInteger: boolean
}

/** The fields of one mapping. A field that is wrong reads as absent, and is a problem. */
export class YamlFields {
  readonly #problems: YamlProblems
  readonly #map: YAMLMap
  readonly #where: string

  private constructor(problems: YamlProblems, map: YAMLMap, where: string) {
    this.#problems = problems
    this.#map = map
    this.#where = where
  }

  /** Null when the node is no mapping. `known`: every field that there is; null for any. `where` names it. */
  static of(
    problems: YamlProblems,
    node: Node | null,
    where: string,
    known: readonly string[] | null,
  ): YamlFields | null {
    if (!isMap(node)) {
      problems.add(node, `${where} must have fields (${known?.join(', ') ?? 'name: value'}).`)
      return null
    }
    for (const { key } of node.items) {
      const name = nameOf(key)
      if (name !== null && (known === null || known.includes(name))) continue
      problems.add(
        key as Node | null,
        `${where} has no field "${name ?? 'of this kind'}"; there are ${known?.join(', ') ?? 'words'}.`,
      )
    }
    return new YamlFields(problems, node, where)
  }

  get names(): readonly string[] {
    return this.#map.items.map(({ key }) => nameOf(key)).filter((name) => name !== null)
  }

  has(name: string): boolean {
    return this.#pair(name) !== undefined
  }

  /** A problem about a field, or about the whole when it is absent. */
  problem(name: string, text: string): void {
    this.#problems.add(this.node(name) ?? this.#map, `${this.#where}: ${text}`)
  }

  node(name: string): Node | null {
    return (this.#pair(name)?.value ?? null) as Node | null
  }

  /** A text that the pattern holds for; `form` says in words what it asks for. */
  text(name: string, pattern: RegExp, form: string): string | null {
    if (!this.has(name)) return null
    const value = scalarOf(this.node(name))
    if (typeof value === 'string' && pattern.test(value)) return value
    this.problem(name, `${name} must be ${form}.`)
    return null
  }

  number(name: string, { min, max, isInteger }: NumberBounds): number | null {
    if (!this.has(name)) return null
    const value = scalarOf(this.node(name))
    const isGood =
      typeof value === 'number' &&
      (isInteger ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
      value >= min &&
      value <= max
    if (isGood) return value
    const kind = isInteger ? 'an integer' : 'a number'
    this.problem(name, `${name} must be ${kind} from ${min} to ${max}.`)
    return null
  }

  /** A list of different texts, at least one. */
  texts(name: string, pattern: RegExp, form: string, sizeMax: number): readonly string[] | null {
    if (!this.has(name)) return null
    const node = this.node(name)
    const values = isSeq(node) ? node.items.map((item) => scalarOf(item as Node)) : []
    const texts = values.filter((value) => typeof value === 'string' && pattern.test(value))
    const isGood =
      values.length > 0 &&
      values.length <= sizeMax &&
      texts.length === values.length &&
      new Set(texts).size === texts.length
    if (isGood) return texts as readonly string[]
    this.problem(name, `${name} must be a list of 1 to ${sizeMax} different values: ${form}.`)
    return null
  }

  fields(name: string, known: readonly string[] | null): YamlFields | null {
    if (!this.has(name)) return null
    return YamlFields.of(this.#problems, this.node(name), `${this.#where}: ${name}`, known)
  }

  #pair(name: string): Pair | undefined {
    return this.#map.items.find(({ key }) => nameOf(key) === name)
  }
}

function nameOf(key: unknown): string | null {
  return isScalar(key) && typeof key.value === 'string' ? key.value : null
}

function scalarOf(node: Node | null): unknown {
  return isScalar(node) ? node.value : undefined
}
