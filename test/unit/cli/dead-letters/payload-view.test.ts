// Goal: no card number is ever shown (P8). Method: card numbers are put wherever a message can hold text or bytes, and
// the whole view is searched, as text and as hex; the control shows that the message did contain it.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { viewPayload } from '../../../../services/cli/dead-letters/letter-lines.ts'
import type { Transaction } from '../../../../services/core/transaction.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const content = await new FileRegistry().load()
const CARD_NUMBERS = ['4111111111111111', '4111 1111 1111 1111', '4111-1111-1111-1111']
const DIGITS = '4111111111111111'

function shown(value: Buffer): string {
  return JSON.stringify(viewPayload(value, content))
}

function showsCardNumber(text: string): boolean {
  const plain = text.replace(/[ .-]/g, '')
  return plain.includes(DIGITS) || plain.includes(Buffer.from(DIGITS).toString('hex'))
}

test('a transaction is shown field by field, as far as it can be no card number', () => {
  const view = viewPayload(codecs.transaction.encode(fullTransaction), content)
  strictEqual(view.kind, 'decoded')
  const value = view.value as Transaction
  strictEqual(value.card, fullTransaction.card)
  strictEqual(value.eventTimeMs, fullTransaction.eventTimeMs)
  strictEqual(value.amountMinor, fullTransaction.amountMinor)
})

test('a card number in any text field of a transaction is masked', () => {
  for (const field of ['id', 'card', 'merchant', 'terminal', 'device', 'intentId'] as const) {
    for (const number of [...CARD_NUMBERS, `x${DIGITS}y`, '4111.1111.1111.1111']) {
      const bytes = codecs.transaction.encode({ ...fullTransaction, [field]: number })
      ok(showsCardNumber(bytes.toString('latin1')), 'the message holds it')
      ok(!showsCardNumber(shown(bytes)), `${field} ${number}`)
    }
  }
})

test('a card number as an amount or as a time is left out', () => {
  for (const change of [{ amountMinor: Number(DIGITS) }, { eventTimeMs: Number(DIGITS) }]) {
    const text = shown(codecs.transaction.encode({ ...fullTransaction, ...change }))
    ok(!showsCardNumber(text))
    ok(text.includes('[redacted]'))
  }
})

test('bytes that no schema reads show as hex without digits, and only so many', () => {
  const view = viewPayload(Buffer.from('pay 12 now'), content)
  deepStrictEqual(view, {
    kind: 'hex',
    lines: ['70 61 79 20 ## ## 20 6e 6f 77', 'text: pay ## now'],
    bytesLeftOut: 0,
  })
  const long = viewPayload(Buffer.alloc(2_000, 'a'), content)
  strictEqual(long.kind === 'hex' ? long.bytesLeftOut : 0, 2_000 - 512)
})

test('no card number is shown wherever it stands in bytes, as digits or packed two to a byte', () => {
  const number = fc.constantFrom(
    ...CARD_NUMBERS.map((text) => Buffer.from(text)),
    Buffer.from(DIGITS, 'utf16le'),
    Buffer.from(DIGITS, 'hex'),
  )
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      number,
      fc.uint8Array(),
      (before, held, after) => {
        ok(!showsCardNumber(shown(Buffer.concat([before, held, after]))))
      },
    ),
  )
})
