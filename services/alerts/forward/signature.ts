// Signs and verifies deliveries as Standard Webhooks defines: HMAC-SHA-256 over `<id>.<timestamp>.<body>`, one
// signature per active key, so that keys rotate without a refused delivery.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { Secret } from '../../platform/config/secrets.ts'

export const ID_HEADER = 'webhook-id'
export const TIMESTAMP_HEADER = 'webhook-timestamp'
export const SIGNATURE_HEADER = 'webhook-signature'

/** Form of an id. It excludes braces, so no part of a body can pass for an id. */
export const DELIVERY_ID = /^[A-Za-z0-9_.-]{1,128}$/

const SECRET_PREFIX = 'whsec_'
const VERSION = 'v1,'
export const KEY_BYTES_MIN = 24
export const KEY_BYTES_MAX = 64
/** Most signatures read from one header; a sender has at most two keys during a rotation. */
const SIGNATURES_MAX = 8
const DIGEST_BYTES = 32

/** The key of `whsec_<base64>`; null when the text is invalid, or the key is not 24 to 64 bytes long. */
export function parseSigningKey(text: string): Secret | null {
  if (!text.startsWith(SECRET_PREFIX)) return null
  const encoded = text.slice(SECRET_PREFIX.length)
  const key = Buffer.from(encoded, 'base64')
  // Node ignores invalid base64 characters, so the text is valid only if it encodes to itself.
  if (key.toString('base64').replace(/=+$/, '') !== encoded.replace(/=+$/, '')) return null
  return key.length < KEY_BYTES_MIN || key.length > KEY_BYTES_MAX ? null : new Secret(text)
}

/** The value of `webhook-signature`: one signature per key, in order. */
export function signatureHeader(
  keys: readonly Secret[],
  id: string,
  timestampS: number,
  body: string | Uint8Array,
): string {
  return keys
    .map((key) => `${VERSION}${digestOf(key, id, String(timestampS), body).toString('base64')}`)
    .join(' ')
}

/** True when any signature of the header matches any of the keys. Takes the same time whichever one it is. */
export function isSignedByAny(
  keys: readonly Secret[],
  id: string,
  timestamp: string,
  body: string | Uint8Array,
  header: string,
): boolean {
  const given = header
    .split(' ', SIGNATURES_MAX)
    .filter((part) => part.startsWith(VERSION))
    .map((part) => Buffer.from(part.slice(VERSION.length), 'base64'))
    .filter(({ length }) => length === DIGEST_BYTES)
  let isSigned = false
  for (const key of keys) {
    const expected = digestOf(key, id, timestamp, body)
    for (const signature of given) isSigned = timingSafeEqual(expected, signature) || isSigned
  }
  return isSigned
}

function digestOf(key: Secret, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(key.reveal().slice(SECRET_PREFIX.length), 'base64')
  return createHmac('sha256', bytes).update(`${id}.${timestamp}.`).update(body).digest()
}

// The receiver's side, in TypeScript: verifies the signature, the age and the id of a delivery. Receivers in other
// languages use the library of Standard Webhooks (docs/webhooks.md).

/** Largest difference between the sender's clock and ours, ms, from Standard Webhooks. */
export const TOLERANCE_MS = 300_000
/** Longest body that our sender produces. */
export const DELIVERY_BYTES_MAX = 262_144
const REMEMBERED_MAX = 100_000

/** Reasons for which a delivery is refused. Closed list: receivers count by it. */
export const DELIVERY_REFUSALS = [
  'body_too_large',
  'headers_missing',
  'headers_invalid',
  'too_old',
  'too_new',
  'signature_wrong',
  'replayed',
] as const
export type DeliveryRefusal = (typeof DELIVERY_REFUSALS)[number]

/**
 * HTTP status of a refused delivery. A replay gets 200: it looks the same as a sender's repeat after a lost answer, and
 * its event is already processed.
 */
export const REFUSAL_STATUS: Readonly<Record<DeliveryRefusal, number>> = {
  body_too_large: 413,
  headers_missing: 400,
  headers_invalid: 400,
  too_old: 401,
  too_new: 401,
  signature_wrong: 401,
  replayed: 200,
}

export type DeliveryVerdict =
  | { readonly isAccepted: true; readonly id: string; readonly sentAtMs: number }
  | { readonly isAccepted: false; readonly refusal: DeliveryRefusal }

/** Headers as Node gives them: names in lower case. */
export type DeliveryHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

export interface VerifyOptions {
  readonly headers: DeliveryHeaders
  /** The bytes as received; parsing and serialising them again would change them. */
  readonly body: Uint8Array
  /** Every key accepted now: one, or two during a rotation. */
  readonly keys: readonly Secret[]
  readonly seen: SeenDeliveries
  readonly nowMs: number
  readonly bodyBytesMax?: number
}

/**
 * Verifies one delivery and remembers its id, so that the next one with this id is a replay. A receiver that fails to
 * process the delivery must call `seen.forget(id)` before it answers, or the sender's repeat is refused.
 */
export function verifyDelivery(options: VerifyOptions): DeliveryVerdict {
  const { headers, body, keys, seen, nowMs, bodyBytesMax = DELIVERY_BYTES_MAX } = options
  if (body.length > bodyBytesMax) return refused('body_too_large')
  const id = headers[ID_HEADER]
  const timestamp = headers[TIMESTAMP_HEADER]
  const signature = headers[SIGNATURE_HEADER]
  if (id === undefined || timestamp === undefined || signature === undefined) {
    return refused('headers_missing')
  }
  // A repeated header is a list.
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signature !== 'string') {
    return refused('headers_invalid')
  }
  if (!DELIVERY_ID.test(id) || !/^\d{1,12}$/.test(timestamp)) return refused('headers_invalid')
  // The signature is checked first: nothing else is revealed about an unsigned delivery.
  if (!isSignedByAny(keys, id, timestamp, body, signature)) return refused('signature_wrong')
  const sentAtMs = Number(timestamp) * 1_000
  if (nowMs - sentAtMs > TOLERANCE_MS) return refused('too_old')
  if (sentAtMs - nowMs > TOLERANCE_MS) return refused('too_new')
  if (!seen.remember(id, nowMs)) return refused('replayed')
  return { isAccepted: true, id, sentAtMs }
}

function refused(refusal: DeliveryRefusal): DeliveryVerdict {
  return { isAccepted: false, refusal }
}

/**
 * Ids of accepted deliveries, for as long as a copy would pass the time check. When it is full, the oldest are dropped:
 * size it for the deliveries of ten minutes.
 */
export class SeenDeliveries {
  readonly #sizeMax: number
  /** Times of acceptance, oldest first. */
  readonly #seenAtMs = new Map<string, number>()

  constructor(sizeMax = REMEMBERED_MAX) {
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#seenAtMs.size
  }

  /** False when the id is already remembered. */
  remember(id: string, nowMs: number): boolean {
    // A delivery stamped at the latest accepted time passes until two tolerances later.
    for (const [known, atMs] of this.#seenAtMs) {
      if (nowMs - atMs <= 2 * TOLERANCE_MS && this.#seenAtMs.size <= this.#sizeMax) break
      this.#seenAtMs.delete(known)
    }
    if (this.#seenAtMs.has(id)) return false
    if (this.#seenAtMs.size >= this.#sizeMax) {
      for (const [oldest] of this.#seenAtMs) {
        this.#seenAtMs.delete(oldest)
        break
      }
    }
    this.#seenAtMs.set(id, nowMs)
    return true
  }

  /** For a delivery that was accepted but not processed. */
  forget(id: string): void {
    this.#seenAtMs.delete(id)
  }
}
