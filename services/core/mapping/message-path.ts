// Paths into a message: JSON Pointers such as `/payment/items/0/id`, dotted ones such as `payment.items.0.id`, and the
// envelope: `$key`, `$topic`, `$partition`, `$offset`, `$timestamp`, and `$headers.NAME`.

import { MAPPING_LIMITS } from './mapping-document.ts'

/** A message and its envelope. */
export interface MappingInput {
  /** The decoded message. */
  readonly message: unknown
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Time stamp of the record, ms. */
  readonly timestampMs: number
  /** Null for none. */
  readonly key: string | null
  readonly headers: Readonly<Record<string, string>>
}

/** Reads a value; undefined when the message has none there. */
export type ReadPath = (input: MappingInput) => unknown

const ENVELOPE: Readonly<Record<string, ReadPath>> = {
  $key: ({ key }) => key,
  $topic: ({ topic }) => topic,
  $partition: ({ partition }) => partition,
  $offset: ({ offset }) => offset,
  $timestamp: ({ timestampMs }) => timestampMs,
}
const HEADERS = '$headers.'

/** Names that objects inherit. */
const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))

/** The steps of a path; null when it is no path. */
export function stepsOf(path: string): readonly string[] | null {
  const isPointer = path.startsWith('/')
  const steps = isPointer ? path.slice(1).split('/').map(unescaped) : path.split('.')
  if (steps.length > MAPPING_LIMITS.pathStepsMax) return null
  if (steps.some((step) => INHERITED.has(step) || (!isPointer && step === ''))) return null
  return isPointer && /~(?![01])/.test(path) ? null : steps
}

/** Compiles a path; null when it is no path. Hot path. */
export function compilePath(path: string): ReadPath | null {
  if (path.startsWith('$')) {
    const header = path.startsWith(HEADERS) ? path.slice(HEADERS.length) : ''
    if (header !== '' && !INHERITED.has(header)) return ({ headers }) => headers[header]
    return ENVELOPE[path] ?? null
  }
  const steps = stepsOf(path)
  if (steps === null) return null
  const [first = '', second, ...rest] = steps
  if (second === undefined) return ({ message }) => step(message, first)
  if (rest.length === 0) return ({ message }) => step(step(message, first), second)
  return ({ message }) => {
    let value = message
    for (const name of steps) value = step(value, name)
    return value
  }
}

function step(value: unknown, name: string): unknown {
  // An index of a list is the name of its entry.
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}
