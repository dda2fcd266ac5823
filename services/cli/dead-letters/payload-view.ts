// What a message holds, as it may be shown: never a card number (P8), whatever is wrong with the message.

import { isTimeMs } from '../../core/wire/validation.ts'
import { createCodec, frameSchemaId, NOT_FRAMED } from '../../core/wire/codec.ts'
import type { RegistryContent, Subject } from '../../core/wire/schema-registry.ts'
import { redact } from '../../platform/redact.ts'

const MESSAGE_BYTES_MAX = 1024 * 1024
const ITEMS_MAX = 4_096
const HEX_BYTES_MAX = 512
const HEX_BYTES_PER_LINE = 16
/** Digits that a text may have in all: the shortest card number has 13. */
const DIGITS_MAX = 12
const LARGEST_PLAIN_NUMBER = 999_999_999_999
/** Of degrees, a tenth of a metre. */
const DECIMALS_MAX = 6

/** A payload for the screen. */
export type PayloadView =
  | { readonly kind: 'decoded'; readonly subject: Subject; readonly value: unknown }
  | { readonly kind: 'hex'; readonly lines: readonly string[]; readonly bytesLeftOut: number }

/**
 * Decodes a message of any subject by its schema alone, without the checks that may have refused it, and masks what
 * could be a card number; what no schema reads is shown as masked hex.
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
 * Bytes as hex and text. ASCII digits show as `##` and `#`; then the redactor goes over the hex itself, since two
 * digits of a packed card number are one byte.
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

/** Texts with the digits of a card number lose all digits; large numbers that are no times are left out. */
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
