// Signatures of receipts. Kafka's access control decides who may write to the topic; the signature proves who wrote a
// receipt. The scheme is that of the webhooks, over the alert id, the second of the receipt and the bytes of the
// message.

import type { Receipt } from '../../core/wire/records.ts'
import type { EnvReader } from '../../platform/config/env-reader.ts'
import { readSecret, readTextFile, type Secret } from '../../platform/config/secrets.ts'
import { isSignedByAny, parseSigningKey, signatureHeader } from '../forward/signature.ts'

/** Header of a receipt's message. */
export const RECEIPT_SIGNATURE_HEADER = 'sluice-receipt-signature'

const KEY_FORM = 'whsec_ and 24 to 64 bytes in base64'
const KEYS_FILE_BYTES_MAX = 65_536
/** One, or two during a rotation. */
const KEYS_OF_SUBSCRIBER_MAX = 2

/** Keys of each subscriber, by its name. */
export type ReceiptKeys = ReadonlyMap<string, readonly Secret[]>

type Signed = Pick<Receipt, 'alertId' | 'atMs'>

/** The value of the signature header. */
export function signReceipt(key: Secret, { alertId, atMs }: Signed, value: Uint8Array): string {
  return signatureHeader([key], alertId, secondOf(atMs), value)
}

/** True when the receipt is signed by a key of the subscriber that it names. */
export function isReceiptSigned(
  keys: ReceiptKeys,
  { alertId, atMs, subscriber }: Signed & Pick<Receipt, 'subscriber'>,
  value: Uint8Array,
  header: string,
): boolean {
  const own = keys.get(subscriber) ?? []
  return isSignedByAny(own, alertId, String(secondOf(atMs)), value, header)
}

/** The signing key of a subscriber; null when none is given. */
export function readReceiptKey(read: EnvReader): Secret | null {
  const secret = readSecret(read, 'SLUICE_RECEIPT_KEY', 'SLUICE_RECEIPT_KEY_FILE')
  if (secret === null) return null
  const key = parseSigningKey(secret.reveal())
  read.check(key !== null, `SLUICE_RECEIPT_KEY is not a key; give ${KEY_FORM}.`)
  return key
}

/** The keys that verify receipts, with a subscriber and a key on each line of the file; null when no file is given. */
export function readReceiptKeys(read: EnvReader): ReceiptKeys | null {
  const text = readTextFile(read, 'SLUICE_RECEIPT_KEYS_FILE', KEYS_FILE_BYTES_MAX)
  if (text === null) return null
  const keys = new Map<string, Secret[]>()
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue
    const [subscriber = '', encoded = '', ...more] = line.trim().split(/\s+/)
    const key = more.length > 0 ? null : parseSigningKey(encoded)
    const own = keys.get(subscriber) ?? []
    const place = `SLUICE_RECEIPT_KEYS_FILE, line ${index + 1}`
    read.check(key !== null, `${place} is not "<subscriber> <key>"; a key is ${KEY_FORM}.`)
    read.check(
      own.length < KEYS_OF_SUBSCRIBER_MAX,
      `${place}: the subscriber has more than ${KEYS_OF_SUBSCRIBER_MAX} keys; leave the oldest out.`,
    )
    if (key !== null) keys.set(subscriber, [...own, key])
  }
  read.check(keys.size > 0, 'SLUICE_RECEIPT_KEYS_FILE has no key; every receipt would be refused.')
  return keys
}

function secondOf(atMs: number): number {
  return Math.floor(atMs / 1_000)
}
