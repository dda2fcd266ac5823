// Makes values safe for a log line: plain, bounded, and without card numbers or secrets (P8). The copy holds only
// strings, numbers, booleans, null, arrays and plain objects. So turning it into JSON calls no toJSON, meets no getter
// and no cycle, and finds nothing that was not checked here.

import { REDACTED, redactText } from '../core/card-numbers.ts'

const DEPTH_MAX = 8
const ENTRIES_MAX = 64
/** Most values of one line; a line of a few fields has ten. */
const VALUES_MAX = 1_000
const TEXT_LENGTH_MAX = 8_192
const SECRET_KEY =
  /pass(?:word|phrase|wd)|secret|token|authori[sz]ation|sasl|credential|cookie|hmac|private_?key|api_?key/i
/**
 * A 13-digit number that begins with 1 is no card number of any scheme, and in a field with this suffix it is a time.
 */
const TIME_KEY = /Ms$/
const TIME_MS_MIN = 1e12
const TIME_MS_MAX = 2e12
/**
 * Fields of an error that are logged. The list is closed because ioredis, for one, puts the command with its arguments
 * on its errors.
 */
const ERROR_FIELDS = ['code', 'type', 'retriable', 'details', 'cause', 'errors'] as const

interface Walk {
  readonly ancestors: Set<object>
  valuesLeft: number
}

/** A copy of any value that is safe to log. Never throws. */
export function redact(value: unknown): unknown {
  return copyOf(value, '', { ancestors: new Set(), valuesLeft: VALUES_MAX })
}

/** The text without card numbers, cut to a length that fits a log. */
export function redactLine(text: string): string {
  if (text.length <= TEXT_LENGTH_MAX) return redactText(text)
  let end = TEXT_LENGTH_MAX
  // A number that is cut in two is not recognised, so a possible first part of one is removed too.
  while (end > 0 && /[^A-Za-z]/.test(text.charAt(end - 1)) && TEXT_LENGTH_MAX - end < 128) end -= 1
  return `${redactText(text.slice(0, end))}… [${text.length - end} more characters]`
}

function copyOf(value: unknown, key: string, walk: Walk): unknown {
  walk.valuesLeft -= 1
  if (walk.valuesLeft < 0) return '[left out]'
  switch (typeof value) {
    case 'string':
      return redactLine(value)
    case 'number':
      return numberOf(value, key)
    case 'bigint':
      return redactText(String(value))
    case 'boolean':
    case 'undefined':
      return value
    case 'symbol':
    case 'function':
      return `[${typeof value}]`
    case 'object':
      return value === null ? null : objectOf(value, walk)
  }
}

function numberOf(value: number, key: string): unknown {
  if (!Number.isFinite(value)) return String(value)
  if (TIME_KEY.test(key) && value >= TIME_MS_MIN && value < TIME_MS_MAX) return value
  // Digits after a decimal point belong to a measurement.
  const text = String(Math.trunc(value))
  return redactText(text) === text ? value : REDACTED
}

function objectOf(value: object, walk: Walk): unknown {
  if (walk.ancestors.has(value)) return '[cyclic]'
  if (walk.ancestors.size >= DEPTH_MAX) return '[too deep]'
  walk.ancestors.add(value)
  try {
    return contentOf(value, walk)
  } catch {
    // A getter, a proxy or a toJSON that throws must not crash the process that logs.
    return '[unreadable]'
  } finally {
    walk.ancestors.delete(value)
  }
}

function contentOf(value: object, walk: Walk): unknown {
  if (value instanceof Error) return errorOf(value, walk)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return `[${value.constructor.name}, ${value.byteLength} bytes]`
  }
  if (Array.isArray(value)) return listOf(value, walk)
  if (value instanceof Set) return listOf([...value].slice(0, ENTRIES_MAX + 1), walk)
  if (value instanceof Map) return fieldsOf([...value].slice(0, ENTRIES_MAX + 1), walk)
  if (value instanceof String || value instanceof Number || value instanceof Boolean) {
    return copyOf(value.valueOf(), '', walk)
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return copyOf((value.toJSON as () => unknown)(), '', walk)
  }
  return fieldsOf(
    Object.keys(value).map((key) => [key, readField(value, key)]),
    walk,
  )
}

function listOf(values: readonly unknown[], walk: Walk): unknown {
  const copies = values.slice(0, ENTRIES_MAX).map((entry) => copyOf(entry, '', walk) ?? null)
  return values.length > ENTRIES_MAX ? [...copies, '[left out]'] : copies
}

function fieldsOf(entries: readonly (readonly [unknown, unknown])[], walk: Walk): unknown {
  const fields = new Map<string, unknown>()
  for (const [key, value] of entries.slice(0, ENTRIES_MAX)) {
    const name = typeof key === 'string' ? key : String(copyOf(key, '', walk))
    const copy = SECRET_KEY.test(name) ? REDACTED : copyOf(value, name, walk)
    fields.set(redactLine(name), copy)
  }
  if (entries.length > ENTRIES_MAX) fields.set('…', '[left out]')
  return Object.fromEntries(fields)
}

function errorOf(error: Error, walk: Walk): unknown {
  const fields: [string, unknown][] = (['name', 'message', 'stack'] as const).map((key) => [
    key,
    readField(error, key),
  ])
  for (const key of ERROR_FIELDS) {
    if (key in error) fields.push([key, readField(error, key)])
  }
  return fieldsOf(fields, walk)
}

function readField(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    return '[unreadable]'
  }
}
