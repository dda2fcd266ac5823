// Strict reading of a YAML document with the place of every fault: all that is wrong is found in one pass, nothing
// unknown is let through. What cannot be read gives null, and a fault says so.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml'
import type { PolicyFault } from './policy-document.ts'

/** Collects faults of one text. */
export class YamlFaults {
  readonly #lines: LineCounter
  readonly #faults: PolicyFault[] = []

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  /** In the order of the text. */
  get all(): readonly PolicyFault[] {
    return this.#faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  add(offset: number, path: string, message: string): void {
    const { line, col } = this.#lines.linePos(offset)
    this.#faults.push({ line: Math.max(1, line), column: Math.max(1, col), path, message })
  }
}

/** A text value with what is needed to say where a character of it stands. */
export interface PlacedText {
  readonly text: string
  readonly path: string
  /** Offset in the document of the character at `position` of the text, as near as YAML lets one tell. */
  offsetOf(position: number): number
}

/** Opens a text as one mapping; null when it is none, with faults. */
export function openYaml(text: string): { root: YamlFields | null; faults: YamlFaults } {
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
  return { root: new YamlFields(contents, '', text, faults), faults }
}

/** Reads one mapping by name and kind. */
export class YamlFields {
  readonly #values = new Map<string, Node | null>()
  readonly #keys = new Map<string, number>()
  readonly #asked = new Set<string>()
  readonly #start: number
  readonly #path: string
  readonly #text: string
  readonly #faults: YamlFaults

  constructor(node: Node, path: string, text: string, faults: YamlFaults) {
    this.#start = startOf(node)
    this.#path = path
    this.#text = text
    this.#faults = faults
    if (!isMap(node)) {
      faults.add(this.#start, path, 'must be a mapping of fields')
      return
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      this.#values.set(name, value as Node | null)
      this.#keys.set(name, startOf(key as Node))
    }
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** A fault of the whole mapping, or of one of its fields. */
  fault(message: string, name?: string): void {
    const at = name === undefined ? this.#start : this.#placeOf(name)
    this.#faults.add(at, name === undefined ? this.#path : this.#at(name), message)
  }

  text(name: string, charactersMax: number): PlacedText | null {
    const node = this.#take(name)
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'string' && value.length > 0 && value.length <= charactersMax) {
      return { text: value, path: this.#at(name), offsetOf: offsetsOf(node as Node, this.#text) }
    }
    this.#wrong(name, value, `a text of 1 to ${charactersMax} characters`)
    return null
  }

  /** A name for rules, segments and lists: what metrics and commands can hold. */
  name(name: string, charactersMax: number): string {
    const found = this.text(name, charactersMax)?.text ?? null
    if (found !== null && !/^[a-z][a-z0-9_-]*$/.test(found)) {
      this.fault(`is ${shorten(found)}, but must be lower-case letters, digits, _ and -`, name)
    }
    return found ?? ''
  }

  oneOf<const Choice extends string>(
    name: string,
    choices: readonly Choice[],
    otherwise?: Choice,
  ): Choice {
    const fallback = otherwise ?? (choices[0] as Choice)
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

  /** A number within [min, max]; `isWhole` asks for an integer. NaN where there is a fault. */
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

  /** The value as it stands when it is a scalar. */
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

  /** A list of mappings; absent is empty. */
  objects<Read>(
    name: string,
    lengthMax: number,
    read: (fields: YamlFields) => Read,
  ): readonly Read[] {
    return this.#items(name, lengthMax).map((item, index) =>
      this.#inner(item, `${this.#at(name)}[${index}]`, read),
    )
  }

  /** A list of words from a closed list; absent is empty. */
  words<const Choice extends string>(name: string, choices: readonly Choice[]): readonly Choice[] {
    return this.#items(name, choices.length).flatMap((item, index) => {
      const value = isScalar(item) ? item.value : undefined
      const choice = choices.find((candidate) => candidate === value)
      if (choice !== undefined) return [choice]
      const message = `is ${inWords(value)}, but must be one of ${choices.join(', ')}`
      this.#faults.add(startOf(item), `${this.#at(name)}[${index}]`, message)
      return []
    })
  }

  /** Refuses fields that nobody asked for: they would be settings without effect. */
  end(): void {
    for (const [name, offset] of this.#keys) {
      if (this.#asked.has(name)) continue
      const known = [...this.#asked].toSorted().join(', ')
      this.#faults.add(offset, this.#at(name), `is not a known field; known here: ${known}`)
    }
  }

  #inner<Read>(node: Node, path: string, read: (fields: YamlFields) => Read): Read {
    const fields = new YamlFields(node, path, this.#text, this.#faults)
    const result = read(fields)
    fields.end()
    return result
  }

  #items(name: string, lengthMax: number): readonly Node[] {
    if (!this.has(name)) return this.#absent(name, [])
    const node = this.#take(name)
    if (!isSeq(node) || node.items.length > lengthMax) {
      this.#wrong(name, undefined, `a list of at most ${lengthMax} entries`)
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
    const found = this.has(name) ? inWords(value) : 'absent'
    this.fault(`is ${found}, but must be ${expected}`, name)
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

function startOf(node: Node): number {
  return node.range?.[0] ?? 0
}

/** Block texts begin on the line below their sign, indented; folded and escaped ones are placed by their beginning. */
function offsetsOf(node: Node, text: string): (position: number) => number {
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
    // Folded lines are placed by their beginning; of literal ones the value holds what goes beyond the block's indent.
    const isLiteral = node.type === 'BLOCK_LITERAL'
    const own = isLiteral ? indentOf(value.split('\n')[row] ?? '') : 0
    const indent = indentOf(below[row] ?? '') - own
    const column = isLiteral ? (before.at(-1) ?? '').length : 0
    return start + body.indexOf('\n') + 1 + skipped + indent + column
  }
}

function indentOf(line: string): number {
  return /^ */.exec(line)?.[0].length ?? 0
}

function inWords(value: unknown): string {
  if (value === undefined) return 'something else'
  return shorten(JSON.stringify(value))
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}
