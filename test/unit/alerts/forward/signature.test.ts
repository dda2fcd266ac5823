// Goal: signatures are those of Standard Webhooks. Method: compare with the vector of its own tests, which openssl
// confirms, and with its library, both ways.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { Secret } from '../../../../services/platform/config/secrets.ts'
import {
  isSignedByAny,
  parseSigningKey,
  signatureHeader,
} from '../../../../services/alerts/forward/signature.ts'

const KEY = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
const TIMESTAMP_S = 1_614_265_330
const BODY = '{"test": 2432232314}'
// printf '%s' "$ID.$TIMESTAMP_S.$BODY" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(base64 -d, xxd -p of the key) -binary | base64
const EXPECTED = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='

const newKey = (): Secret => new Secret(`whsec_${randomBytes(32).toString('base64')}`)

test('a signature is the published one, which openssl computes as well', () => {
  strictEqual(signatureHeader([new Secret(KEY)], ID, TIMESTAMP_S, BODY), EXPECTED)
})

test('what we sign, the library of Standard Webhooks accepts with either of two keys, and with no third one', () => {
  const keys = [newKey(), newKey()]
  const atS = Math.floor(Date.now() / 1_000)
  const headers = {
    'webhook-id': 'a.0',
    'webhook-timestamp': String(atS),
    'webhook-signature': signatureHeader(keys, 'a.0', atS, BODY),
  }
  for (const key of keys) {
    deepStrictEqual(new Webhook(key.reveal()).verify(BODY, headers), JSON.parse(BODY))
  }
  throws(() => new Webhook(newKey().reveal()).verify(BODY, headers))
})

test('what the library of Standard Webhooks signs, we accept', () => {
  const header = new Webhook(KEY).sign(ID, new Date(TIMESTAMP_S * 1_000), BODY)
  const timestamp = String(TIMESTAMP_S)
  ok(isSignedByAny([newKey(), new Secret(KEY)], ID, timestamp, BODY, header))
  ok(!isSignedByAny([newKey()], ID, timestamp, BODY, header))
})

test('a change of any part is not what was signed', () => {
  const key = new Secret(KEY)
  const header = signatureHeader([key], ID, TIMESTAMP_S, BODY)
  const timestamp = String(TIMESTAMP_S)
  ok(isSignedByAny([key], ID, timestamp, BODY, `v2,abc ${header}`))
  ok(!isSignedByAny([key], `${ID}a`, timestamp, BODY, header))
  ok(!isSignedByAny([key], ID, String(TIMESTAMP_S + 1), BODY, header))
  ok(!isSignedByAny([key], ID, timestamp, `${BODY} `, header))
  ok(!isSignedByAny([key], ID, timestamp, BODY, header.replace('v1,', 'v2,')))
  ok(!isSignedByAny([], ID, timestamp, BODY, header))
})

test('no header makes the comparison throw, and none that we did not make is accepted', () => {
  const key = new Secret(KEY)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (noise, length) => {
      const header = `${noise} v1,${Buffer.alloc(length).toString('base64')}`
      ok(!isSignedByAny([key], ID, String(TIMESTAMP_S), BODY, header))
    }),
  )
})

test('a key is whsec_ with 24 to 64 bytes in base64, and nothing shows it', () => {
  for (const bytes of [24, 32, 64]) {
    const text = `whsec_${randomBytes(bytes).toString('base64')}`
    strictEqual(parseSigningKey(text)?.reveal(), text)
  }
  strictEqual(String(parseSigningKey(KEY)), '[secret]')
  const short = randomBytes(23).toString('base64')
  const long = randomBytes(65).toString('base64')
  for (const text of [
    '',
    'whsec_',
    KEY.slice(6),
    `whsec_${short}`,
    `whsec_${long}`,
    `${KEY}!`,
    `${KEY} `,
  ]) {
    strictEqual(parseSigningKey(text), null, text)
  }
})
