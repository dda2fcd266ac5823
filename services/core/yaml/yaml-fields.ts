// Strict reader of YAML documents that reports the position of every fault in one pass and refuses unknown fields. A value
// that cannot be read is null and leaves a fault.

import assert from 'node:assert/strict'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

/** A fault in a document, and its position in the text (from 1). */
export interface YamlFault {
  readonly line: number
  readonly column: number
  /** Such as `rules[2].when`; empty for the whole document. */
  readonly path: string
  readonly message: string
}

/** A fault for a person, with its line. */
export function faultSentence({ line, path, message }: YamlFault): string {
  return path === '' ? `line ${line}: ${message}` : `line ${line}: ${path} ${message}`
}

/** Collects faults of one text. */
export class YamlFaults {
  readonly #lines: LineCounter
  readonly #faults: YamlFault[] = []

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  /** In the order of the text. */
  get all(): readonly YamlFault[] {
    return this.#faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  add(offset: number, path: string, message: string): void {
    const { line, col } = this.#lines.linePos(offset)
    this.#faults.push({ line: Math.max(1, line), column: Math.max(1, col), path, message })
  }
}

/** A text value with the position of its characters in the document. */
export interface LocatedText {
  readonly text: string
  readonly path: string
  /** Offset in the document of the character at `position` of the text, as exactly as YAML allows. */
  readonly offsetOf: (position: number) => number
}

/** Offset of a node in its document. */
export function startOf(node: Node): number {
  const start = node.range?.[0]
  assert(start !== undefined, 'A node that was parsed has a place.')
  return start
}

/**
 * Block texts begin on the line below their indicator, indented; folded and escaped ones are located by their
 * beginning.
 */
export function offsetsOf(node: Node, text: string): (position: number) => number {
  const start = startOf(node)
  if (!isScalar(node)) return () => start
  const value = String(node.value)
  const body = text.slice(start)
  if (body.startsWith(value)) return (position) => start + position
  if (body.startsWith(value, 1)) return (position) => start + 1 + position
  if (node.type !== 'BLOCK_LITERAL' && node.type !== 'BLOCK_FOLDED') return () => start
  return (position) => {
    const before = value.slice(0, position).split('\n')
    const below = body.split('\n').slice(1)
    const row = Math.min(before.length - 1, below.length - 1)
    const skipped = below.slice(0, row).reduce((sum, line) => sum + line.length + 1, 0)
    // Folded lines are located by their beginning. The value of a literal block lacks only the block's indent.
    const isLiteral = node.type === 'BLOCK_LITERAL'
    const own = isLiteral ? indentOf(value.split('\n')[row] ?? '') : 0
    const indent = indentOf(below[row] ?? '') - own
    const column = isLiteral ? (before.at(-1) ?? '').length : 0
    return start + body.indexOf('\n') + 1 + skipped + indent + column
  }
}

function indentOf(line: string): number {
  return line.search(/[^ ]|$/)
}

/** Options for reading a document. */
export interface YamlReading {
  /** False for files whose values may be secret: faults then name fields and never their values. */
  readonly showsValues: boolean
}

/** Opens a text as one mapping; null, with faults, when it is not a mapping. */
export function openYaml(
  text: string,
  reading: YamlReading = { showsValues: true },
): { root: YamlFields | null; faults: YamlFaults } {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    schema: 'core',
  })
  const faults = new YamlFaults(lines)
  for (const error of [...document.errors, ...document.warnings]) {
    faults.add(error.pos[0], '', error.message)
  }
  if (document.errors.length > 0) return { root: null, faults }
  const { contents } = document
  if (!isMap(contents)) {
    faults.add(0, '', 'the document must be a mapping of fields')
    return { root: null, faults }
  }
  return { root: new YamlFields(contents, '', { text, faults, ...reading }), faults }
}

interface YamlSource extends YamlReading {
  readonly text: string
  readonly faults: YamlFaults
}

/** Reads one mapping by name and kind. */
export class YamlFields {
  readonly #values = new Map<string, Node | null>()
  readonly #keys = new Map<string, number>()
  readonly #asked = new Set<string>()
  readonly #start: number
  readonly #path: string
  readonly #source: YamlSource
  /** False when the node is not a mapping. That one fault is enough, and absent fields are not reported. */
  readonly #isMapping: boolean

  constructor(node: Node, path: string, source: YamlSource) {
    this.#start = startOf(node)
    this.#path = path
    this.#source = source
    this.#isMapping = isMap(node)
    if (!isMap(node)) {
      source.faults.add(this.#start, path, 'must be a mapping of fields')
      return
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      this.#values.set(name, value as Node | null)
      this.#keys.set(name, startOf(key as Node))
    }
  }

  /** The names of all fields, known or not. */
  get names(): readonly string[] {
    return [...this.#values.keys()]
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** Kind of a field's value; null when it is absent. */
  kindOf(name: string): 'mapping' | 'list' | 'scalar' | null {
    const node = this.#values.get(name)
    if (node === undefined) return null
    return isMap(node) ? 'mapping' : isSeq(node) ? 'list' : 'scalar'
  }

  /** Reports a fault of the whole mapping, or of one of its fields. */
  fault(message: string, name?: string): void {
    if (!this.#isMapping) return
    const at = name === undefined ? this.#start : this.#placeOf(name)
    this.#source.faults.add(at, name === undefined ? this.#path : this.#at(name), message)
  }

  text(name: string, charactersMax: number): LocatedText | null {
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'string' && value.length > 0 && value.length <= charactersMax) {
      return {
        text: value,
        path: this.#at(name),
        offsetOf: offsetsOf(node as Node, this.#source.text),
      }
    }
    this.#wrong(name, value, `a text of 1 to ${charactersMax} characters`)
    return null
  }

  /** A name for rules, segments and lists, in characters that metrics and commands allow. */
  name(name: string, charactersMax: number): string {
    const found = this.text(name, charactersMax)?.text ?? null
    if (found !== null && !/^[a-z][a-z0-9_-]*$/.test(found)) {
      this.#wrong(name, found, 'lower-case letters, digits, _ and -')
    }
    return found ?? ''
  }

  /** A text that matches the pattern; `form` describes the pattern in words. Null when there is a fault. */
  matching(name: string, pattern: RegExp, form: string): string | null {
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'string' && pattern.test(value)) return value
    this.#wrong(name, value, form)
    return null
  }

  /** As `matching`, or `otherwise` when it is absent. */
  matchingOr<Otherwise>(
    name: string,
    pattern: RegExp,
    form: string,
    otherwise: Otherwise,
  ): string | Otherwise | null {
    return this.has(name)
      ? this.matching(name, pattern, form)
      : this.#absent<Otherwise>(name, otherwise)
  }

  /** A list of 1 to `lengthMax` different texts that match the pattern. Null when there is a fault. */
  texts(name: string, pattern: RegExp, form: string, lengthMax: number): readonly string[] | null {
    const node = this.#take(name)
    const values = isSeq(node) ? node.items.map((item) => (isScalar(item) ? item.value : null)) : []
    const texts = values.filter((value) => typeof value === 'string' && pattern.test(value))
    const isFit = values.length > 0 && values.length <= lengthMax
    if (isFit && texts.length === values.length && new Set(texts).size === texts.length) {
      return texts as readonly string[]
    }
    this.#wrong(name, undefined, `a list of 1 to ${lengthMax} different values: ${form}`)
    return null
  }

  oneOf<const Choice extends string>(
    name: string,
    choices: readonly [Choice, ...Choice[]],
    otherwise?: Choice,
  ): Choice {
    const fallback = otherwise ?? choices[0]
    if (otherwise !== undefined && !this.has(name)) return this.#absent(name, fallback)
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    const choice = choices.find((candidate) => candidate === value)
    if (choice === undefined) this.#wrong(name, value, `one of ${choices.join(', ')}`)
    return choice ?? fallback
  }

  flag(name: string, otherwise: boolean): boolean {
    if (!this.has(name)) return this.#absent(name, otherwise)
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'boolean') return value
    this.#wrong(name, value, 'true or false')
    return otherwise
  }

  /** A number within [min, max]; `isWhole` requires an integer. NaN when there is a fault. */
  number(name: string, min: number, max: number, isWhole = false): number {
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    const isFit = typeof value === 'number' && value >= min && value <= max
    if (isFit && (!isWhole || Number.isInteger(value))) return value
    this.#wrong(name, value, `${isWhole ? 'a whole number' : 'a number'} ${min} to ${max}`)
    return NaN
  }

  numberOr<Otherwise>(
    name: string,
    min: number,
    max: number,
    otherwise: Otherwise,
    isWhole = false,
  ): number | Otherwise {
    return this.has(name)
      ? this.number(name, min, max, isWhole)
      : this.#absent<number | Otherwise>(name, otherwise)
  }

  /** The unchanged value of a scalar. */
  scalar(name: string): unknown {
    const node = this.#take(name)
    return isScalar(node) ? node.value : undefined
  }

  object<Read>(name: string, read: (fields: YamlFields) => Read): Read | null {
    const node = this.#take(name)
    if (!isMap(node)) {
      this.#wrong(name, isScalar(node) ? node.value : undefined, 'a mapping of fields')
      return null
    }
    return this.#inner(node, this.#at(name), read)
  }

  /** As `texts`, or `otherwise` when it is absent. */
  textsOr<Otherwise>(
    name: string,
    pattern: RegExp,
    form: string,
    lengthMax: number,
    otherwise: Otherwise,
  ): readonly string[] | Otherwise | null {
    return this.has(name)
      ? this.texts(name, pattern, form, lengthMax)
      : this.#absent<Otherwise>(name, otherwise)
  }

  /** As `object`, or `otherwise` when it is absent or wrong. */
  objectOr<Read, Otherwise>(
    name: string,
    read: (fields: YamlFields) => Read,
    otherwise: Otherwise,
  ): Read | Otherwise {
    if (!this.has(name)) return this.#absent(name, otherwise)
    return this.object(name, read) ?? otherwise
  }

  /** A list of mappings; absent means empty, which is a fault if the list is required. */
  objects<Read>(
    name: string,
    lengthMax: number,
    read: (fields: YamlFields) => Read,
    lengthMin = 0,
  ): readonly Read[] {
    return this.#items(name, lengthMin, lengthMax).map((item, index) =>
      this.#inner(item, `${this.#at(name)}[${index}]`, read),
    )
  }

  /** A list of words from a closed list; absent is empty. */
  words<const Choice extends string>(name: string, choices: readonly Choice[]): readonly Choice[] {
    return this.#items(name, 0, choices.length).flatMap((item, index) => {
      const value = isScalar(item) ? item.value : undefined
      const choice = choices.find((candidate) => candidate === value)
      if (choice !== undefined) return [choice]
      const message = this.#message(value, `one of ${choices.join(', ')}`)
      this.#source.faults.add(startOf(item), `${this.#at(name)}[${index}]`, message)
      return []
    })
  }

  /** Refuses fields that were not read: they would be settings without effect. */
  end(): void {
    for (const [name, offset] of this.#keys) {
      if (this.#asked.has(name)) continue
      const known = [...this.#asked].toSorted().join(', ')
      this.#source.faults.add(offset, this.#at(name), `is not a known field; known here: ${known}`)
    }
  }

  #inner<Read>(node: Node, path: string, read: (fields: YamlFields) => Read): Read {
    const fields = new YamlFields(node, path, this.#source)
    const result = read(fields)
    fields.end()
    return result
  }

  #items(name: string, lengthMin: number, lengthMax: number): readonly Node[] {
    if (lengthMin === 0 && !this.has(name)) return this.#absent(name, [])
    const node = this.#take(name)
    if (!isSeq(node) || node.items.length < lengthMin || node.items.length > lengthMax) {
      const count = lengthMin === 0 ? `at most ${lengthMax}` : `${lengthMin} to ${lengthMax}`
      const expected = `a list of ${count} entries`
      if (isSeq(node)) this.fault(`has ${node.items.length} entries, but must be ${expected}`, name)
      else this.#wrong(name, undefined, expected)
      return []
    }
    return node.items as Node[]
  }

  #absent<Value>(name: string, value: Value): Value {
    this.#asked.add(name)
    return value
  }

  #take(name: string): Node | null {
    this.#asked.add(name)
    const node = this.#values.get(name) ?? null
    if (!isAlias(node)) return node
    this.fault('is an alias; write the value out', name)
    return null
  }

  #wrong(name: string, value: unknown, expected: string): void {
    if (this.has(name)) this.fault(this.#message(value, expected), name)
    else this.fault(`is absent, but must be ${expected}`, name)
  }

  #message(value: unknown, expected: string): string {
    if (!this.#source.showsValues) return `must be ${expected}`
    return `is ${inWords(value)}, but must be ${expected}`
  }

  #placeOf(name: string): number {
    const value = this.#values.get(name) ?? null
    if (value !== null && value.range !== undefined) return startOf(value)
    return this.#keys.get(name) ?? this.#start
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }
}

function inWords(value: unknown): string {
  if (value === undefined) return 'something else'
  return shorten(JSON.stringify(value))
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}
