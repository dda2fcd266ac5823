// Reads one field of the output from a message: where its value comes from, and what it becomes.

import { messageOf } from '../wire/codec.ts'
import { compileExpression } from './expressions.ts'
import type { FieldMapping, ValueSource, ValueTable } from './mapping-document.ts'
import { MappingRefusal } from './mapping-refusal.ts'
import { compilePath, type MappingInput, type ReadPath } from './message-path.ts'

/** The text of a field; null when it has no value. @throws MappingRefusal */
export type ReadText = (input: MappingInput) => string | null

/** Compiles the source of a field, its default and its table. The mapping has been checked. Hot path. */
export function compileText(field: string, mapping: FieldMapping): ReadText {
  const { source, fallback, table } = mapping
  let read = compileSource(field, source)
  if (fallback !== null) {
    const inner = read
    read = (input) => inner(input) ?? fallback
  }
  return table === null ? read : translated(field, read, table)
}

function compileSource(field: string, source: ValueSource): ReadText {
  switch (source.kind) {
    case 'constant': {
      const text = String(source.value)
      return () => text
    }
    case 'path': {
      const [first, ...others] = source.paths.map((path) => readerOf(field, path))
      if (first === undefined) return () => null
      return others.length === 0 ? first : firstOf([first, ...others])
    }
    case 'join': {
      const parts = source.paths.map((path) => readerOf(field, path))
      return (input) => joined(parts, source.separator, input)
    }
    case 'cel': {
      const evaluate = expressionOf(source.expression, false)
      return (input) =>
        textOf(
          field,
          attempt(field, () => evaluate(input)),
        )
    }
  }
}

function readerOf(field: string, path: string): ReadText {
  const read = pathOf(path)
  return (input) => textOf(field, read(input))
}

function firstOf(readers: readonly ReadText[]): ReadText {
  return (input) => {
    for (const read of readers) {
      const text = read(input)
      if (text !== null) return text
    }
    return null
  }
}

function joined(parts: readonly ReadText[], separator: string, input: MappingInput): string | null {
  let text = ''
  for (const [index, read] of parts.entries()) {
    const part = read(input)
    if (part === null) return null
    text += index === 0 ? part : separator + part
  }
  return text
}

function translated(field: string, read: ReadText, { entries, otherwise }: ValueTable): ReadText {
  return (input) => {
    const text = read(input)
    if (text === null) return null
    const found = entries.get(text)
    if (found !== undefined) return found
    if (otherwise === 'keep') return text
    if (otherwise === 'absent') return null
    throw new MappingRefusal('unknown_word', field, 'the table has no such value')
  }
}

/** The trimmed text of a scalar; null for none, and for an empty one. @throws MappingRefusal */
export function textOf(field: string, value: unknown): string | null {
  switch (typeof value) {
    case 'string': {
      const text = value.trim()
      return text === '' ? null : text
    }
    case 'number':
      // Beyond this, neighbouring numbers are read as one.
      if (Number.isInteger(value) && !Number.isSafeInteger(value))
        throw new MappingRefusal(
          'precision_lost',
          field,
          'a number of more than 15 digits is not exact; have it written as a text',
        )
      return String(value)
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'undefined':
    case 'object':
    case 'function':
    case 'symbol':
      if (value === undefined || value === null) return null
      throw new MappingRefusal('not_scalar', field, 'is no text, number or boolean')
  }
}

/** Compiles a condition that was checked before. @throws MappingRefusal when it cannot be evaluated */
export function compileCondition(
  name: string,
  expression: string,
): (input: MappingInput) => boolean {
  const evaluate = expressionOf(expression, true)
  return (input) => {
    const holds = attempt(name, () => evaluate(input))
    if (typeof holds === 'boolean') return holds
    throw new MappingRefusal('expression_failed', name, 'gives neither true nor false')
  }
}

function attempt(field: string, evaluate: () => unknown): unknown {
  try {
    return evaluate()
  } catch (error) {
    // The first line says what is missing; the others repeat the expression.
    const [problem = ''] = messageOf(error).split('\n')
    throw new MappingRefusal('expression_failed', field, problem)
  }
}

function pathOf(path: string): ReadPath {
  const read = compilePath(path)
  if (read === null) throw new Error(`The path ${path} was not checked.`)
  return read
}

function expressionOf(text: string, isCondition: boolean): (input: MappingInput) => unknown {
  const compiled = compileExpression(text, isCondition)
  if (!compiled.ok) throw new Error(`The expression ${text} was not checked.`)
  return compiled.evaluate
}
