// Goal: no card number passes, and everything that operators must read does. Method: numbers built by the definition of
// the check digit, grouped and surrounded at random; an oracle that reads the output digit by digit.

import { notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  holdsCardNumber,
  maskCardNumbers,
  mentionsCardNumber,
  redactText,
} from '../../../services/core/card-numbers.ts'
import { cardNumbers, groupings, showsNumber } from '../../support/card-numbers.ts'
import { holds } from '../../support/property.ts'

test('no card number comes through, however it is grouped and whatever stands around it', () => {
  const words = fc.string({ maxLength: 12 })
  holds(
    2_000,
    fc.property(cardNumbers, groupings, words, words, (number, grouping, before, after) => {
      const text = before + grouping(number) + after
      ok(!showsNumber(redactText(text), number), JSON.stringify(text))
    }),
  )
})

test('whatever is refused as an identifier is refused in free text and masked in logs', () => {
  const words = fc.stringMatching(/^[0-9a-fB%:;=/_. -]{0,6}$/)
  let refused = 0
  holds(
    4_000,
    fc.property(cardNumbers, groupings, words, words, (number, grouping, before, after) => {
      const text = before + grouping(number) + after
      if (!holdsCardNumber(text)) return
      refused += 1
      ok(mentionsCardNumber(text), JSON.stringify(text))
      ok(!showsNumber(redactText(text), number), JSON.stringify(text))
    }),
  )
  ok(refused > 500, `${refused} were refused`)
})

test('a person who writes a card number is noticed, however they write it', () => {
  for (const text of [
    'Customer says 4111 1111 1111 1111 was stolen.',
    'card 4111-11-11111111-11',
    'number 4111111111111112, maybe mistyped',
  ]) {
    ok(mentionsCardNumber(text), text)
  }
  for (const text of [
    'The holder called on 2026-12-02 at 09:02 from +49 170 1234567.',
    'as alert 5f0c9a2b3c4d5e6f708192a3b4c5d6e7',
    'card ending 1111, 3 payments of 120.00',
  ]) {
    ok(!mentionsCardNumber(text), text)
  }
})

test('the oracle sees a number that was not masked', () => {
  holds(
    200,
    fc.property(cardNumbers, groupings, (number, grouping) => {
      ok(showsNumber(`a ${grouping(number)} b`, number))
    }),
  )
})

test('a number next to an expiry date, an amount or another number is masked', () => {
  const number = '4111111111111111'
  for (const text of [
    `${number} 12/28`,
    '4111 1111 1111 1111 100.00',
    `378282246310005 ${number}`,
    `000${number}`,
  ]) {
    ok(showsNumber(text, number))
    ok(!showsNumber(maskCardNumbers(text), number), text)
  }
})

test('a mistyped number in the shape of a card number is masked, too', () => {
  for (const text of [
    '4111111111111112',
    '5500 0000 0000 0005',
    '3782-8224-6310-006',
    '6011000990139425',
  ])
    strictEqual(maskCardNumbers(`card ${text}.`), 'card [redacted].')
})

test('offsets, times, versions, places in code and short numbers stay readable', () => {
  for (const text of [
    'transactions-3 holds offsets 0 to 120034567, but 98 is next',
    'at 1784280000001 ms',
    '2026-11-24T03:39:41.356Z',
    '2026-11-24 03:39:41.356',
    'at run (services/scorer/partition.ts:123:45)',
    '127.0.0.1:19092',
    'partitions 0,1,2,3,4,5,6,7,8,9,10,11',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'took 12.5 ms',
    '0000000000000000',
  ])
    strictEqual(maskCardNumbers(text), text)
})

test('passwords in addresses are masked, and the rest of the address is not', () => {
  strictEqual(
    redactText('redis://sluice:hunter2@redis.example:6379/0 refused'),
    'redis://sluice:[redacted]@redis.example:6379/0 refused',
  )
  const address = 'http://127.0.0.1:4318/v1/traces'
  strictEqual(redactText(address), address)
})

test('a number at the end of a very long run of digits is masked', () => {
  const text = '1 '.repeat(50_000) + '4111111111111111'
  notStrictEqual(maskCardNumbers(text), text)
})
