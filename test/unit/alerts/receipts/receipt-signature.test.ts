import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseSigningKey } from '../../../../services/alerts/forward/signature.ts'
import {
  isReceiptSigned,
  readReceiptKey,
  readReceiptKeys,
  signReceipt,
} from '../../../../services/alerts/receipts/receipt-signature.ts'
import { EnvReader } from '../../../../services/platform/config/env-reader.ts'
import type { Secret } from '../../../../services/platform/config/secrets.ts'
import { temporaryFolder } from '../../../support/model-variants.ts'

const textOf = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const keyOf = (byte: number): Secret => parseSigningKey(textOf(byte)) ?? assert.fail('no key')
const RECEIPT = { alertId: 'a', subscriber: 'bank', atMs: 1_700_000_000_999 }
const VALUE = Buffer.from('value')

test('a receipt is signed by any key of its subscriber, and by none of another', () => {
  const keys = new Map([
    ['bank', [keyOf(1), keyOf(2)]],
    ['shop', [keyOf(3)]],
  ])
  const check = (header: string, more: Partial<typeof RECEIPT> = {}, value = VALUE): boolean =>
    isReceiptSigned(keys, { ...RECEIPT, ...more }, value, header)
  const signature = signReceipt(keyOf(2), RECEIPT, VALUE)
  assert.ok(check(signReceipt(keyOf(1), RECEIPT, VALUE)))
  assert.ok(check(signature))
  assert.ok(!check(signReceipt(keyOf(3), RECEIPT, VALUE)))
  assert.ok(!check(signature, { subscriber: 'shop' }))
  assert.ok(!check(signature, { subscriber: 'nobody' }))
  assert.ok(!check(signature, { alertId: 'b' }))
  assert.ok(!check(signature, { atMs: RECEIPT.atMs + 1 }))
  assert.ok(!check(signature, {}, Buffer.from('valuf')))
  for (const header of ['', 'v1,', signature.slice(0, -4), signature.replace('v1', 'v2')]) {
    assert.ok(!check(header), header)
  }
})

test('keys are read from lines of a subscriber and a key, and what is wrong with the file is told without a key', (t) => {
  const read = (text: string) => readKeys(t, text)
  const { keys, problems } = read(
    `# keys\n\nbank ${textOf(1)}\n  bank\t${textOf(2)}  \r\nshop ${textOf(3)}`,
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(
    [...(keys ?? [])].map(([name, own]) => [name, own.length]),
    [
      ['bank', 2],
      ['shop', 1],
    ],
  )
  const wrong = [
    ['bank', /line 1 is not/],
    [`x ${textOf(1)}\nbank secret`, /line 2 is not/],
    [`bank ${textOf(1)} more`, /line 1 is not/],
    [[1, 2, 3].map((byte) => `bank ${textOf(byte)}`).join('\n'), /line 3: .* more than 2 keys/],
    ['# none\n', /no key/],
  ] as const
  for (const [text, expected] of wrong) {
    const { problems: told } = read(text)
    assert.match(told.join('\n'), expected)
    assert.doesNotMatch(told.join('\n'), /secret|AQEB|AgIC/)
  }
  assert.equal(readReceiptKeys(new EnvReader({})), null)
})

test('a signing key that is none is a problem, told without it', () => {
  const read = new EnvReader({ SLUICE_RECEIPT_KEY: 'my-secret' })
  assert.equal(readReceiptKey(read), null)
  assert.throws(
    () => {
      read.throwIfInvalid()
    },
    (error: Error) =>
      /SLUICE_RECEIPT_KEY is not a key/.test(error.message) && !/my-secret/.test(error.message),
  )
  assert.ok(readReceiptKey(new EnvReader({ SLUICE_RECEIPT_KEY: textOf(1) })) !== null)
  assert.equal(readReceiptKey(new EnvReader({})), null)
})

function readKeys(t: TestContext, text: string) {
  const file = join(temporaryFolder(t, 'keys'), 'keys')
  writeFileSync(file, text)
  const read = new EnvReader({ SLUICE_RECEIPT_KEYS_FILE: file })
  const keys = readReceiptKeys(read)
  const problems: string[] = []
  try {
    read.throwIfInvalid()
  } catch (error) {
    problems.push(String(error))
  }
  return { keys, problems }
}
