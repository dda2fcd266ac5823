// Signatures of deliveries, as Standard Webhooks has them: HMAC-SHA-256 over `<id>.<timestamp>.<body>`, one for each
// active key, so that a key can be changed without a moment in which sender and receiver disagree.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { Secret } from '../../platform/config/secret.ts'

export const ID_HEADER = 'webhook-id'
export const TIMESTAMP_HEADER = 'webhook-timestamp'
export const SIGNATURE_HEADER = 'webhook-signature'

/** What an id looks like. Without a brace in it, no part of a body can be passed off as one. */
export const DELIVERY_ID = /^[A-Za-z0-9_.-]{1,128}$/

const SECRET_PREFIX = 'whsec_'
const VERSION = 'v1,'
export const KEY_BYTES_MIN = 24
export const KEY_BYTES_MAX = 64
/** Signatures of one header that are looked at; a sender has two keys at most while it changes them. */
const SIGNATURES_MAX = 8
const DIGEST_BYTES = 32

/** The key of `whsec_<base64>`; null when the text is none, or the key has not 24 to 64 bytes. */
export function parseSigningKey(text: string): Secret | null {
  if (!text.startsWith(SECRET_PREFIX)) return null
  const encoded = text.slice(SECRET_PREFIX.length)
  const key = Buffer.from(encoded, 'base64')
  // Node passes over what is no base64; only a text that says the same back is one.
  if (key.toString('base64').replace(/=+$/, '') !== encoded.replace(/=+$/, '')) return null
  return key.length < KEY_BYTES_MIN || key.length > KEY_BYTES_MAX ? null : new Secret(text)
}

/** The value of `webhook-signature`: one signature for each key, in their order. */
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

/** True when any signature of the header is one by any of the keys. Takes the same time whichever it is. */
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
