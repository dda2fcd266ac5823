// Formats dead letters for people and as JSON.

import type { RateTable } from '../../core/rates/rate-table.ts'
import { partitionOf, partitionOfText } from '../../core/murmur2.ts'
import { type MessagePosition, formatPosition } from '../../core/redrive.ts'
import type { RejectReason } from '../../core/dead-letters.ts'
import { createCodec, frameSchemaId, NOT_FRAMED } from '../../core/wire/codec.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { isTimeMs } from '../../core/wire/validation.ts'
import type { DeadLetter } from '../../core/wire/records.ts'
import type { RegistryContent, Subject } from '../../core/wire/schema-registry.ts'
import { redact } from '../../platform/redact.ts'
import { tableLine, tableLines } from '../table.ts'
import {
  asking,
  EVERY_LETTER,
  findScanStart,
  type FoundLetter,
  isSameMessage,
  type LettersRead,
  openLettersKafka,
  readLetters,
  SourceLog,
  type StreamAccess,
} from './read-letters.ts'

/** Letters are printed as they are read, so widths are fixed. */
const FORM = { align: 'llllr', widths: [19, 24, 21, 12, 6] }
const SAMPLE_CHARACTERS = 24

/** Heads the lines of `letterLine`. */
export function letterHeading(): string {
  return tableLine(
    ['became one (UTC)', 'position', 'reason', 'field', 'bytes', 'begins with'],
    FORM,
  )
}

/** One letter on one line: time, message, reason, and the redacted start of the message. */
export function letterLine({ letter, redrivenFrom }: FoundLetter, topicPrefix: string): string {
  const position = formatPosition(letter).slice(topicPrefix.length)
  const repeats = redrivenFrom === null ? '' : `  redriven before, from ${redrivenFrom.offset}`
  const cells = [
    timeText(letter.decidedAtMs),
    position,
    safeText(letter.reason),
    safeText(letter.field ?? '-'),
    String(letter.payloadBytes),
    safeText(letter.sample).slice(0, SAMPLE_CHARACTERS) + repeats,
  ]
  return tableLine(cells, FORM)
}

/** A letter as JSON. Times in milliseconds UTC, the hash in hex. */
export function letterJson({ letter, redrivenFrom }: FoundLetter): Record<string, unknown> {
  return {
    position: formatPosition(letter),
    topic: letter.topic,
    partition: letter.partition,
    offset: letter.offset,
    reason: letter.reason,
    field: letter.field,
    payloadBytes: letter.payloadBytes,
    payloadHmac: Buffer.from(letter.payloadHmac).toString('hex'),
    sample: redact(letter.sample),
    timestampMs: letter.timestampMs,
    decidedAtMs: letter.decidedAtMs,
    redrivenFrom: redrivenFrom === null ? null : formatPosition(redrivenFrom),
  }
}

/** Counts letters by source topic and reason. At most GROUPS_MAX groups, so that unknown topics cannot fill memory. */
export class LetterCounts {
  readonly #counts = new Map<string, { topic: string; reason: string; count: number }>()
  #uncounted = 0

  add({ letter: { topic, reason } }: FoundLetter): void {
    const key = `${topic} ${reason}`
    const known = this.#counts.get(key)
    if (known !== undefined) known.count += 1
    else if (this.#counts.size < GROUPS_MAX) this.#counts.set(key, { topic, reason, count: 1 })
    else this.#uncounted += 1
  }

  /** Most frequent first. */
  get groups(): readonly {
    readonly topic: string
    readonly reason: string
    readonly count: number
  }[] {
    const groups = [...this.#counts.values()].sort((a, b) => b.count - a.count)
    if (this.#uncounted === 0) return groups
    return [...groups, { topic: 'other', reason: 'other', count: this.#uncounted }]
  }
}

const GROUPS_MAX = 1_000

/** The counts as lines. */
export function summaryLines(counts: LetterCounts, topicPrefix: string): readonly string[] {
  const rows = counts.groups.map(({ topic, reason, count }) => [
    String(count),
    topic.startsWith(topicPrefix) ? topic.slice(topicPrefix.length) : topic,
    safeText(reason),
  ])
  return tableLines(rows, { align: 'r' })
}

/** Counts of letters that are not shown and of unreadable messages; null when there are none. */
export function remainderLine(read: LettersRead, shown: number): string | null {
  const parts = [
    shown < read.matching
      ? `${shown} of ${read.matching} shown, the oldest first; --limit shows more`
      : null,
    read.unreadable > 0 ? `${read.unreadable} message(s) of the topic are no dead letter` : null,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join('; ')
}

/** A time as `2026-01-31 12:00:00`. */
export function timeText(timeMs: number): string {
  const date = new Date(timeMs)
  if (Number.isNaN(date.getTime())) return 'no valid time'
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

/** Text from a topic, without card numbers and control characters. */
export function safeText(text: string): string {
  return String(redact(text)).replace(/\p{Cc}/gu, '?')
}

// One dead letter in full, and the content of its message while the log holds it.

/** The message at the letter's position; `gone` when retention has removed it. */
type FoundPayload = PayloadView | { readonly kind: 'gone' | 'empty' | 'unreadable' }

/** The letter about the message at a position, or null. Throws as `readLetters` does. */
export async function findLetter(
  access: StreamAccess,
  position: MessagePosition,
  signal: AbortSignal,
): Promise<FoundLetter | null> {
  const found: FoundLetter[] = []
  const { topic, partition, offset } = position
  const filter = { ...EVERY_LETTER, topic, partition, offsetMin: offset, offsetMax: offset }
  await readLetters(access, filter, (letter) => found.push(letter), signal)
  return found[0] ?? null
}

/** Fetches the letter's message and masks it for display. Throws as `SourceLog.scan` does. */
export async function findPayload(
  access: StreamAccess,
  content: RegistryContent,
  letter: DeadLetter,
  signal: AbortSignal,
): Promise<FoundPayload> {
  const admin = openLettersKafka(access).admin()
  const log = new SourceLog(access, letter.topic, [letter])
  try {
    await asking(access, () => admin.connect())
    const start = await asking(access, () => findScanStart(admin, letter.topic, [letter]))
    await log.readOne(letter, start, signal)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
  const message = log.messageOf(letter)
  if (message?.isRefused === true) return { kind: 'unreadable' }
  if (message === null || !isSameMessage(letter, message)) return { kind: 'gone' }
  if (message.value === null || message.value.length === 0) return { kind: 'empty' }
  return viewPayload(message.value, content)
}

/** The letter as lines, one per field. */
export function showLines(found: FoundLetter): readonly string[] {
  const { letter } = found
  const repeats =
    found.redrivenFrom === null ? 'nothing: it was sent once' : formatPosition(found.redrivenFrom)
  return tableLines([
    ['position', formatPosition(letter)],
    ['reason', safeText(letter.reason)],
    ['field', safeText(letter.field ?? 'the message as a whole')],
    ['sent at', isoText(letter.timestampMs)],
    ['became one', isoText(letter.decidedAtMs)],
    ['bytes', String(letter.payloadBytes)],
    ['begins with', safeText(letter.sample)],
    ['hash', Buffer.from(letter.payloadHmac).toString('hex')],
    ['repeats', repeats],
  ])
}

/** The message as lines. */
export function payloadLines(payload: FoundPayload): readonly string[] {
  switch (payload.kind) {
    case 'gone':
      return ['The message is no longer in its topic.']
    case 'empty':
      return ['The message has no bytes.']
    case 'unreadable':
      return ['The message came in a batch whose compression cannot be read.']
    case 'decoded':
      return [`As ${payload.subject}:`, JSON.stringify(payload.value, null, 2)]
    case 'hex': {
      const rest = payload.bytesLeftOut > 0 ? [`and ${payload.bytesLeftOut} bytes more`] : []
      return ['No schema reads it; bytes with digits masked:', ...payload.lines, ...rest]
    }
  }
}

function isoText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? 'no valid time' : date.toISOString()
}

// Displays the content of a message without ever showing a card number (P8), whatever is wrong with the message.

const MESSAGE_BYTES_MAX = 1024 * 1024
const ITEMS_MAX = 4_096
const HEX_BYTES_MAX = 512
const HEX_BYTES_PER_LINE = 16
/** Most digits in one text: the shortest card number has 13. */
const DIGITS_MAX = 12
const LARGEST_PLAIN_NUMBER = 999_999_999_999
/** Decimals of degrees, a precision of a tenth of a metre. */
const DECIMALS_MAX = 6

/** A payload for the screen. */
type PayloadView =
  | { readonly kind: 'decoded'; readonly subject: Subject; readonly value: unknown }
  | { readonly kind: 'hex'; readonly lines: readonly string[]; readonly bytesLeftOut: number }

/**
 * Decodes a message of any subject by its schema alone, without the checks that may have refused it, and masks possible
 * card numbers. A message that no schema reads is shown as masked hex.
 */
export function viewPayload(value: Buffer, content: RegistryContent): PayloadView {
  const schemaId = frameSchemaId(value)
  const schema = content.schemas.find(({ id }) => id === schemaId)
  if (schemaId !== NOT_FRAMED && schema !== undefined) {
    const { subject } = schema
    const codec = createCodec<unknown>(
      content.schemas.filter((each) => each.subject === subject),
      new Set(content.schemas.map(({ id }) => id)),
      {
        subject,
        messageBytesMax: MESSAGE_BYTES_MAX,
        itemsMax: ITEMS_MAX,
        validate: (read) => ({ ok: true, value: read }),
      },
    )
    const decoded = codec.decode(value)
    if (decoded.ok) return { kind: 'decoded', subject, value: masked(decoded.value) }
  }
  return hexView(value)
}

/**
 * Bytes as hex and text. ASCII digits show as `##` and `#`. The redactor then checks the hex itself, since two digits
 * of a packed card number are one byte.
 */
function hexView(value: Buffer): PayloadView {
  const shown = value.subarray(0, HEX_BYTES_MAX)
  const words = String(redact(Array.from(shown, hexOf).join(' '))).split(' ')
  const lines: string[] = []
  for (let start = 0; start < words.length; start += HEX_BYTES_PER_LINE) {
    lines.push(words.slice(start, start + HEX_BYTES_PER_LINE).join(' '))
  }
  const text = Array.from(shown, textOf).join('')
  lines.push(`text: ${text}`)
  return { kind: 'hex', lines, bytesLeftOut: value.length - shown.length }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function hexOf(byte: number): string {
  return isDigit(byte) ? '##' : byte.toString(16).padStart(2, '0')
}

function textOf(byte: number): string {
  if (isDigit(byte)) return '#'
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'
}

function maskedNumber(value: number, name: string): unknown {
  if (name.endsWith('Ms') && isTimeMs(value)) return value
  if (Math.abs(value) > LARGEST_PLAIN_NUMBER) return '[redacted]'
  return Number(value.toFixed(DECIMALS_MAX))
}

/** Masks all digits of texts long enough to hold a card number; large numbers other than times are left out. */
function masked(value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    const digits = value.replace(/\D/g, '').length
    return digits > DIGITS_MAX ? value.replace(/\d/g, '#') : redact(value)
  }
  if (typeof value === 'number') return maskedNumber(value, name)
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (Array.isArray(value)) return value.map((each) => masked(each))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, masked(entry, key)]))
}

// Predicts the result of sending a message again now, with the partition's checks, this build and the schemas
// registered now.

/** Inputs of the checks besides the message. */
interface VerdictOptions {
  readonly codecs: Codecs
  readonly rates: RateTable
  readonly partitionCount: number
  readonly eventAheadMsMax: number
  /** Time stamp that the message would get. */
  readonly sendAtMs: number
}

/**
 * The target partition and key, and the reason for which the message would be refused again (null: it would be
 * decided).
 */
export interface Verdict {
  readonly refusal: RejectReason | null
  readonly partition: number
  readonly key: Buffer | null
}

/**
 * Judges a message of the transactions or labels topic. The card determines the partition; without a card the key does,
 * and a message without either keeps its partition.
 */
export function judgeMessage(
  kind: 'transactions' | 'labels',
  message: { readonly key: Buffer | null; readonly value: Buffer | null },
  partition: number,
  options: VerdictOptions,
): Verdict {
  const { codecs, partitionCount } = options
  const decoded =
    kind === 'transactions'
      ? codecs.decodeTransactionMessage(message.value)
      : codecs.decodeLabelMessage(message.value)
  if (decoded.kind === 'transaction' || decoded.kind === 'label') {
    const { card } = decoded.value
    const refusal = decoded.kind === 'transaction' ? refusalOf(decoded.value, options) : null
    return { refusal, partition: partitionOfText(card, partitionCount), key: Buffer.from(card) }
  }
  return {
    // A watermark belongs to a moment of its replay; sent again later it would be wrong.
    refusal: decoded.kind === 'watermark' ? 'unexpected_schema' : decoded.reason,
    partition: message.key === null ? partition : partitionOf(message.key, partitionCount),
    key: message.key,
  }
}

function refusalOf(
  {
    amountMinor,
    currency,
    eventTimeMs,
  }: { readonly amountMinor: number; readonly currency: string; readonly eventTimeMs: number },
  { rates, sendAtMs, eventAheadMsMax }: VerdictOptions,
): RejectReason | null {
  if (rates.toReferenceMinor(amountMinor, currency, eventTimeMs) === null) return 'unknown_currency'
  return eventTimeMs > sendAtMs + eventAheadMsMax ? 'event_time_ahead' : null
}
