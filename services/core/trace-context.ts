// Trace context in message headers, as the W3C Recommendation "Trace Context" defines it.
//
//   traceparent: 00-<trace id, 32 hex digits>-<span id, 16 hex digits>-<flags, 2 hex digits>
//   tracestate:  key=value,key=value   up to 32 entries
//
// Nothing here throws. What is not valid is as if it were not there, and every length has a limit.

/** Headers of a Kafka message, as kafkajs gives them. */
export type MessageHeaders = Readonly<
  Record<string, Buffer | string | readonly (Buffer | string)[] | undefined>
>

/** The span that caused a message. */
export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string
  /** True when the sender records this trace. */
  readonly isSampled: boolean
}

/** Headers to put on a message that continues a trace. */
export interface TraceHeaders {
  readonly traceparent: string
  readonly tracestate?: string
}

/** Later versions may be longer than the first; a longer text is ignored. */
const TRACEPARENT_LENGTH_MAX = 128
const TRACESTATE_LENGTH_MAX = 512
const TRACESTATE_ENTRIES_MAX = 32
/** Length of version 00. */
const TRACEPARENT_LENGTH = 55

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/
const TRACESTATE_KEY =
  /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
/** Printable ASCII without comma and equals sign, not ending in a space. */
const TRACESTATE_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const ZEROS = /^0+$/

/** Reads a traceparent of version 00, or the common part of a later version; null when it is invalid. */
export function parseTraceparent(text: string): TraceParent | null {
  if (text.length < TRACEPARENT_LENGTH || text.length > TRACEPARENT_LENGTH_MAX) return null
  const found = TRACEPARENT.exec(text)
  if (found === null) return null
  const [, version = '', traceId = '', spanId = '', flags = ''] = found
  if (version === 'ff' || (version === '00' && text.length !== TRACEPARENT_LENGTH)) return null
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Writes version 00; flags other than "sampled" are not defined there and are not set. */
export function formatTraceparent({ traceId, spanId, isSampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

/** True when the whole list is valid; one bad entry invalidates the list. */
export function isTracestate(text: string): boolean {
  if (text.length === 0 || text.length > TRACESTATE_LENGTH_MAX) return false
  const keys = new Set<string>()
  for (const part of text.split(',')) {
    const entry = part.replace(/^[ \t]+|[ \t]+$/g, '')
    // An empty entry is allowed and ignored.
    if (entry === '') continue
    const equals = entry.indexOf('=')
    const key = entry.slice(0, Math.max(0, equals))
    if (!TRACESTATE_KEY.test(key) || !TRACESTATE_VALUE.test(entry.slice(equals + 1))) return false
    if (keys.has(key)) return false
    keys.add(key)
  }
  return keys.size > 0 && keys.size <= TRACESTATE_ENTRIES_MAX
}

/** The trace that a message belongs to; null without a valid traceparent. */
export function traceParentOf(headers: MessageHeaders | undefined): TraceParent | null {
  const text = textOf(headers?.['traceparent'], TRACEPARENT_LENGTH_MAX)
  return text === null ? null : parseTraceparent(text)
}

/** The valid trace headers of a message, byte for byte; null without a valid traceparent. */
export function traceHeadersOf(headers: MessageHeaders | undefined): TraceHeaders | null {
  const traceparent = textOf(headers?.['traceparent'], TRACEPARENT_LENGTH_MAX)
  if (traceparent === null || parseTraceparent(traceparent) === null) return null
  const tracestate = tracestateOf(headers)
  return tracestate === null ? { traceparent } : { traceparent, tracestate }
}

/** The valid tracestate of a message, or null. It has no meaning without a valid traceparent. */
export function tracestateOf(headers: MessageHeaders | undefined): string | null {
  const value = headers?.['tracestate']
  // Several headers of this name are one list.
  const parts = isList(value) ? value : [value]
  if (parts.length > TRACESTATE_ENTRIES_MAX) return null
  const texts = parts.map((part) => textOf(part, TRACESTATE_LENGTH_MAX))
  const tracestate = texts.includes(null) ? '' : texts.join(',')
  return isTracestate(tracestate) ? tracestate : null
}

/**
 * True when a trace belongs to a share of all traces. Only its id decides, so all services with the same ratio choose
 * the same traces. The last 14 digits must be random; a number holds 13 of them.
 */
export function isInRatio(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(18, 31), 16) >= (1 - ratio) * 2 ** 52
}

/** Several headers of one name are a list; traceparent may occur only once. */
function textOf(value: MessageHeaders[string], lengthMax: number): string | null {
  if (value === undefined || isList(value) || value.length > lengthMax) return null
  return typeof value === 'string' ? value : value.toString('latin1')
}

function isList(value: MessageHeaders[string]): value is readonly (Buffer | string)[] {
  return Array.isArray(value)
}
